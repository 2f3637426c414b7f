#pragma once

// The loops over the groups of a class for NEON, shared by decoding and by the fused products. Internal
// linkage: each file that includes this header compiles them for its own sink.
//
// A sink takes the 64 values (without base) of one group after the other: sink.begin(), sink.add(values) for
// at most Sink::groups_per_sum(largest value) groups, sink.end(); sink.next_row() behind the last group of a
// row. It is copied into the loops and back, so that its sums stay in registers.

#include <arm_neon.h>

#include <array>
#include <cstring>
#include <limits>

#include "codec/plane_row_walk.h"
#include "codec/plane_table.h"

namespace twofold {
namespace {

/// The bytes of a group, sixteen in each vector.
struct Quad {
  uint8x16_t a, b, c, d;
};

template <typename Function, typename... Quads>
inline Quad each(Function function, const Quads&... q) {
  return {function(q.a...), function(q.b...), function(q.c...), function(q.d...)};
}

inline Quad load_quad(const std::uint8_t* p) {
  return {vld1q_u8(p), vld1q_u8(p + 16), vld1q_u8(p + 32), vld1q_u8(p + 48)};
}

inline void store_quad(std::uint8_t* p, const Quad& q) {
  vst1q_u8(p, q.a);
  vst1q_u8(p + 16, q.b);
  vst1q_u8(p + 32, q.c);
  vst1q_u8(p + 48, q.d);
}

inline std::uint64_t load64(const std::uint8_t* p) {
  std::uint64_t value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

inline uint8x16_t splat(int value) {
  return vdupq_n_u8(static_cast<std::uint8_t>(value));
}

/// 1, 2, 4 ... 128, twice.
inline uint8x16_t bit_weights() {
  return vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201));
}

inline uint8x16_t eight_each(std::uint64_t first, std::uint64_t second) {
  return vreinterpretq_u8_u64(
      vcombine_u64(vcreate_u64(first * 0x0101010101010101), vcreate_u64(second * 0x0101010101010101)));
}

/// Bytes of all ones where the bitmap has a one.
inline Quad bytes_of_bits(std::uint64_t bits) {
  const uint8x16_t table = vreinterpretq_u8_u64(vdupq_n_u64(bits));
  const Quad eights{vqtbl1q_u8(table, eight_each(0, 1)), vqtbl1q_u8(table, eight_each(2, 3)),
                    vqtbl1q_u8(table, eight_each(4, 5)), vqtbl1q_u8(table, eight_each(6, 7))};
  return each([](uint8x16_t byte) { return vtstq_u8(byte, bit_weights()); }, eights);
}

/// The bitmap of bytes that are all ones or zeros, twice.
inline uint8x16_t bits_of_bytes(const Quad& q) {
  const Quad weighted = each([](uint8x16_t byte) { return vandq_u8(byte, bit_weights()); }, q);
  const uint8x16_t four = vpaddq_u8(vpaddq_u8(weighted.a, weighted.b), vpaddq_u8(weighted.c, weighted.d));
  return vpaddq_u8(four, four);
}

inline std::uint64_t low64(uint8x16_t v) {
  return vgetq_lane_u64(vreinterpretq_u64_u8(v), 0);
}

/// The codes of a group of Bits each.
template <int Bits>
inline Quad unpack(const std::uint8_t* plane) {
  Quad codes{splat(0), splat(0), splat(0), splat(0)};
  if constexpr ((Bits & 4) != 0) {
    const uint8x16_t first = vld1q_u8(plane);
    const uint8x16_t second = vld1q_u8(plane + 16);
    codes = {vandq_u8(first, splat(15)), vandq_u8(second, splat(15)), vshrq_n_u8(first, 4),
             vshrq_n_u8(second, 4)};
    plane += 32;
  }
  if constexpr ((Bits & 2) != 0) {
    const uint8x16_t fields = vld1q_u8(plane);
    if constexpr ((Bits & 4) != 0) {
      const Quad placed{vshlq_n_u8(fields, 4), vshlq_n_u8(fields, 2), fields, vshrq_n_u8(fields, 2)};
      codes = each([](uint8x16_t code, uint8x16_t field) { return vbslq_u8(splat(0x30), field, code); },
                   codes, placed);
    } else {
      codes = {vandq_u8(fields, splat(3)), vandq_u8(vshrq_n_u8(fields, 2), splat(3)),
               vandq_u8(vshrq_n_u8(fields, 4), splat(3)), vshrq_n_u8(fields, 6)};
    }
    plane += 16;
  }
  if constexpr ((Bits & 1) != 0) {
    codes = each([](uint8x16_t code, uint8x16_t one) { return vbslq_u8(splat(1 << (Bits - 1)), one, code); },
                 codes, bytes_of_bits(load64(plane)));
  }
  return codes;
}

/// For each byte of a bitmap: where a bit is 1, `first` and how many are 1 before it; where it is 0, 0x80,
/// which is in no table of `tbl`.
struct RankTable {
  std::array<std::array<std::uint8_t, 8>, 256> ranks{};

  explicit constexpr RankTable(std::uint8_t first) {
    for (std::size_t mask = 0; mask < ranks.size(); ++mask) {
      std::uint8_t next = first;
      for (std::size_t i = 0; i < 8; ++i) ranks[mask][i] = (mask >> i & 1) != 0 ? next++ : std::uint8_t{0x80};
    }
  }

  /// Of one byte of a longer bitmap.
  uint8x8_t of_byte(std::uint64_t bitmap, int byte) const {
    return vld1_u8(ranks[bitmap >> (8 * byte) & 0xff].data());
  }
};

constexpr RankTable kRanks(0);
constexpr RankTable kRanksFromEight(8);

/// Packed classes: the code is the value.
template <int Bits, typename Sink>
inline void packed_groups(std::size_t rows, std::size_t groups, PlaneCursor& cursor, Sink& sink) {
  const std::uint8_t* plane = cursor.plane;
  Sink local = sink;
  for (std::size_t row = 0; row < rows; ++row) {
    RowWalk walk(groups, Sink::groups_per_sum((1 << Bits) - 1));
    for (std::size_t left = groups; left > 0;) {
      const std::size_t count = walk.take(left);
      local.begin();
      for (std::size_t i = 0; i < count; ++i, plane += 8 * Bits) local.add(unpack<Bits>(plane));
      walk.after_sum(local);
      left -= count;
    }
  }
  sink = local;
  cursor.plane = plane;
}

// The bits of one group at a level take a long chain to their places, so a level is taken for a block of
// groups that waits in L1 before the next one.
constexpr std::size_t kBlockGroups = 16;

struct Block {
  alignas(16) std::uint8_t codes[kBlockGroups * kGroupColumns];
};

/// One level of a class: code words that go on take their next bit.
class Level {
 public:
  Level(const PlaneClass& c, int j, const PlaneCursor& cursor)
      : first_(splat(c.leaves[static_cast<std::size_t>(j)] << c.low_bits)),
        step_(splat(c.step[static_cast<std::size_t>(j)] << c.low_bits)),
        stream_(cursor.level[static_cast<std::size_t>(j)]),
        position_(cursor.level_bit[static_cast<std::size_t>(j)]) {}

  std::uint64_t position() const { return position_; }

  /// Takes the level for a group.
  Quad step(const Quad& codes) {
    const uint8x16_t on =
        bits_of_bytes(each([this](uint8x16_t code) { return vcgeq_u8(code, first_); }, codes));
    const std::uint64_t bitmap = low64(on);
    // Byte k: how many go on among the first k + 1 eights.
    const std::uint64_t counts = low64(vcntq_u8(on)) * 0x0101010101010101;
    const uint64x2_t window = vdupq_n_u64(load64(stream_ + (position_ >> 3)) >> (position_ & 7));
    position_ += counts >> 56;
    // Shifts to the left, by what is in the lowest byte, go right when it is negative.
    const uint8x16_t shifts = vreinterpretq_u8_s8(vnegq_s8(vreinterpretq_s8_u64(vdupq_n_u64(counts))));
    const auto behind = [&](std::uint64_t first, std::uint64_t second) {
      return vshlq_u64(window, vreinterpretq_s64_u8(vqtbl1q_u8(shifts, eight_each(first, second))));
    };
    return {take(codes.a, behind(kNone, 0), bitmap, 0), take(codes.b, behind(1, 2), bitmap, 2),
            take(codes.c, behind(3, 4), bitmap, 4), take(codes.d, behind(5, 6), bitmap, 6)};
  }

 private:
  static constexpr std::uint64_t kNone = 0xff;  // in no table of `tbl`, which gives 0

  /// Takes it for two eights of a group, of which `bitmap` has the bytes `eight` and `eight` + 1. Of each
  /// half of `bits`, the weights that go on take the first ones.
  uint8x16_t take(uint8x16_t codes, uint64x2_t bits, std::uint64_t bitmap, int eight) const {
    const uint8x16_t ones = vtstq_u8(vqtbl1q_u8(vreinterpretq_u8_u64(bits), eight_each(0, 8)), bit_weights());
    const uint8x16_t ranks =
        vcombine_u8(kRanks.of_byte(bitmap, eight), kRanksFromEight.of_byte(bitmap, eight + 1));
    // All ones are -1.
    return vmlsq_u8(codes, vqtbl1q_u8(ones, ranks), step_);
  }

  uint8x16_t first_;  // code that goes on
  uint8x16_t step_;
  const std::uint8_t* stream_;
  std::uint64_t position_;
};

/// Unpacks a block and takes level 0 if there is one.
template <int Bits>
inline void first_pass(const PlaneClass& c, std::size_t groups, PlaneCursor& cursor, Block& block) {
  const std::uint8_t* plane = cursor.plane;
  if (c.levels == 0) {
    for (std::size_t g = 0; g < groups; ++g, plane += 8 * Bits) {
      store_quad(block.codes + g * kGroupColumns, unpack<Bits>(plane));
    }
  } else {
    Level level(c, 0, cursor);
    for (std::size_t g = 0; g < groups; ++g, plane += 8 * Bits) {
      store_quad(block.codes + g * kGroupColumns, level.step(unpack<Bits>(plane)));
    }
    cursor.level_bit[0] = level.position();
  }
  cursor.plane = plane;
}

inline void first_pass(const PlaneClass& c, std::size_t groups, PlaneCursor& cursor, Block& block) {
  switch (c.code_bits()) {
    case 1:
      return first_pass<1>(c, groups, cursor, block);
    case 2:
      return first_pass<2>(c, groups, cursor, block);
    case 3:
      return first_pass<3>(c, groups, cursor, block);
    case 4:
      return first_pass<4>(c, groups, cursor, block);
    case 5:
      return first_pass<5>(c, groups, cursor, block);
    case 6:
      return first_pass<6>(c, groups, cursor, block);
    default:
      return first_pass<7>(c, groups, cursor, block);
  }
}

inline void middle_pass(const PlaneClass& c, int j, std::size_t groups, PlaneCursor& cursor, Block& block) {
  Level level(c, j, cursor);
  for (std::uint8_t* codes = block.codes; codes < block.codes + groups * kGroupColumns;
       codes += kGroupColumns) {
    store_quad(codes, level.step(load_quad(codes)));
  }
  cursor.level_bit[static_cast<std::size_t>(j)] = level.position();
}

/// How codes (symbol above low bits) become values: by a table of 16 or 32 for both together, or by one of 32
/// symbols.
enum class Lookup { kSixteen, kThirtyTwo, kSymbols };

struct ValueTable {
  uint8x16x2_t values;
  uint8x16_t low_mask;
  int8x16_t shift;  // to the right when negative

  explicit ValueTable(const PlaneClass& c)
      : low_mask(splat(c.low_count() - 1)), shift(vdupq_n_s8(static_cast<std::int8_t>(-c.low_bits))) {
    const std::uint8_t* table = c.symbols << c.low_bits <= 32 ? c.by_code.data() : c.values.data();
    values = {{vld1q_u8(table), vld1q_u8(table + 16)}};
  }

  template <Lookup kLookup>
  uint8x16_t value(uint8x16_t code) const {
    if constexpr (kLookup == Lookup::kSixteen) return vqtbl1q_u8(values.val[0], code);
    if constexpr (kLookup == Lookup::kThirtyTwo) return vqtbl2q_u8(values, code);
    return vaddq_u8(vqtbl2q_u8(values, vshlq_u8(code, shift)), vandq_u8(code, low_mask));
  }
};

/// Takes the last level, if kLevel says that it is not level 0, and looks the values up.
template <Lookup kLookup, bool kLevel, typename Sink>
inline void last_pass(const PlaneClass& c, const ValueTable& table, std::size_t groups, PlaneCursor& cursor,
                      const Block& block, RowWalk& walk, Sink& sink) {
  const int j = kLevel ? c.levels - 1 : 0;
  Level level(c, j, cursor);
  const ValueTable values = table;
  Sink local = sink;
  for (std::size_t g = 0; g < groups;) {
    const std::size_t end = g + walk.take(groups - g);
    local.begin();
    for (; g < end; ++g) {
      Quad codes = load_quad(block.codes + g * kGroupColumns);
      if constexpr (kLevel) codes = level.step(codes);
      local.add(each([&](uint8x16_t code) { return values.value<kLookup>(code); }, codes));
    }
    walk.after_sum(local);
  }
  sink = local;
  if constexpr (kLevel) cursor.level_bit[static_cast<std::size_t>(j)] = level.position();
}

template <Lookup kLookup, typename Sink>
inline void tiered_groups(const PlaneClass& c, std::size_t rows, std::size_t groups, PlaneCursor& cursor,
                          Sink& sink) {
  const ValueTable table(c);
  Block block;
  RowWalk walk(groups, Sink::groups_per_sum(c.max_value()));
  std::size_t count = 0;
  for (std::size_t left = rows * groups; left > 0; left -= count) {
    count = std::min(left, kBlockGroups);
    first_pass(c, count, cursor, block);
    for (int j = 1; j < c.levels - 1; ++j) middle_pass(c, j, count, cursor, block);
    if (c.levels > 1) {
      last_pass<kLookup, true>(c, table, count, cursor, block, walk, sink);
    } else {
      last_pass<kLookup, false>(c, table, count, cursor, block, walk, sink);
    }
  }
}

/// The groups of a class that is not raw, `groups` in each of the rows.
template <typename Sink>
inline void class_groups(const PlaneClass& c, std::size_t rows, std::size_t groups, PlaneCursor& cursor,
                         Sink& sink) {
  if (c.root_bits == 0) {
    switch (c.low_bits) {
      case 1:
        return packed_groups<1>(rows, groups, cursor, sink);
      case 2:
        return packed_groups<2>(rows, groups, cursor, sink);
      case 3:
        return packed_groups<3>(rows, groups, cursor, sink);
      case 4:
        return packed_groups<4>(rows, groups, cursor, sink);
      case 5:
        return packed_groups<5>(rows, groups, cursor, sink);
      case 6:
        return packed_groups<6>(rows, groups, cursor, sink);
      default:
        return packed_groups<7>(rows, groups, cursor, sink);
    }
  }
  const int codes = c.symbols << c.low_bits;
  if (codes <= 16) return tiered_groups<Lookup::kSixteen>(c, rows, groups, cursor, sink);
  if (codes <= 32) return tiered_groups<Lookup::kThirtyTwo>(c, rows, groups, cursor, sink);
  return tiered_groups<Lookup::kSymbols>(c, rows, groups, cursor, sink);
}

}  // namespace
}  // namespace twofold
