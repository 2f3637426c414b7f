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

/// Each of the eight bytes eight times.
inline Quad eight_times(uint8x8_t bytes) {
  const uint8x16_t table = vcombine_u8(bytes, vdup_n_u8(0));
  return {vqtbl1q_u8(table, eight_each(0, 1)), vqtbl1q_u8(table, eight_each(2, 3)),
          vqtbl1q_u8(table, eight_each(4, 5)), vqtbl1q_u8(table, eight_each(6, 7))};
}

/// Bytes of all ones where the bitmap has a one.
inline Quad bytes_of_bits(std::uint64_t bits) {
  return each([](uint8x16_t byte) { return vtstq_u8(byte, bit_weights()); }, eight_times(vcreate_u8(bits)));
}

/// The bitmap of bytes that are all ones or zeros.
inline uint8x8_t bits_of_bytes(const Quad& q) {
  const Quad weighted = each([](uint8x16_t byte) { return vandq_u8(byte, bit_weights()); }, q);
  const uint8x16_t four = vpaddq_u8(vpaddq_u8(weighted.a, weighted.b), vpaddq_u8(weighted.c, weighted.d));
  return vget_low_u8(vpaddq_u8(four, four));
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

/// For each byte of a bitmap: where a bit is 1, how many are 1 before it; 0x80, which is in no table of
/// `tbl`, where it is 0.
struct RankTable {
  std::array<std::array<std::uint8_t, 8>, 256> ranks{};

  constexpr RankTable() {
    for (std::size_t mask = 0; mask < ranks.size(); ++mask) {
      std::uint8_t next = 0;
      for (std::size_t i = 0; i < 8; ++i) ranks[mask][i] = (mask >> i & 1) != 0 ? next++ : std::uint8_t{0x80};
    }
  }

  /// Of byte `Byte` of a longer bitmap.
  template <int Byte>
  uint8x8_t of_byte(std::uint64_t bitmap) const {
    return vld1_u8(ranks[bitmap >> (8 * Byte) & 0xff].data());
  }
};

constexpr RankTable kRanks;

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

  /// Takes the level for a group. Ranks count the words that go on in either half of the group, because a
  /// table of 32 steps is two registers and one of 64 would be four, which many CPUs are slow with.
  Quad step(const Quad& codes) {
    const uint8x8_t on =
        bits_of_bytes(each([this](uint8x16_t code) { return vcgeq_u8(code, first_); }, codes));
    const std::uint64_t bitmap = vget_lane_u64(vreinterpret_u64_u8(on), 0);
    // In each half, how many go on in its bytes up to each one.
    const uint32x2_t counts = vmul_n_u32(vreinterpret_u32_u8(vcnt_u8(on)), 0x01010101);
    const std::uint64_t both = vget_lane_u64(vreinterpret_u64_u32(counts), 0);
    const std::uint64_t first_half = both >> 24 & 0xff;

    const std::uint64_t window = load64(stream_ + (position_ >> 3)) >> (position_ & 7);
    position_ += first_half + (both >> 56);
    const Quad steps = each([this](uint8x16_t one) { return vandq_u8(one, step_); },
                            bytes_of_bits((window & 0xffffffff) | window >> first_half << 32));

    const Quad before = eight_times(vreinterpret_u8_u32(vshl_n_u32(counts, 8)));
    const Quad ranks{vaddq_u8(before.a, vcombine_u8(kRanks.of_byte<0>(bitmap), kRanks.of_byte<1>(bitmap))),
                     vaddq_u8(before.b, vcombine_u8(kRanks.of_byte<2>(bitmap), kRanks.of_byte<3>(bitmap))),
                     vaddq_u8(before.c, vcombine_u8(kRanks.of_byte<4>(bitmap), kRanks.of_byte<5>(bitmap))),
                     vaddq_u8(before.d, vcombine_u8(kRanks.of_byte<6>(bitmap), kRanks.of_byte<7>(bitmap)))};
    const uint8x16x2_t low{{steps.a, steps.b}};
    const uint8x16x2_t high{{steps.c, steps.d}};
    return {vaddq_u8(codes.a, vqtbl2q_u8(low, ranks.a)), vaddq_u8(codes.b, vqtbl2q_u8(low, ranks.b)),
            vaddq_u8(codes.c, vqtbl2q_u8(high, ranks.c)), vaddq_u8(codes.d, vqtbl2q_u8(high, ranks.d))};
  }

 private:
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
