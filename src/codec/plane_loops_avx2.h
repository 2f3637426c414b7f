#pragma once

// The loops over the groups of a class for AVX2, shared by decoding and by the fused products. Internal
// linkage: each file that includes this header compiles them for its own sink.
//
// A sink takes the 64 values (without base) of one group after the other as two vectors: sink.begin(),
// sink.add(a, b) for at most as many groups as sums of products with |x| <= 127 fit 16 bits, sink.end();
// sink.next_row() behind the last group of a row.

#include <bit>
#include <cstring>

#include "base/simd_x86.h"
#include "codec/plane_row_walk.h"
#include "codec/plane_table.h"

namespace twofold {
namespace {

// Bytes ahead of the plane, which is read more slowly than hardware prefetchers follow.
constexpr std::ptrdiff_t kPlaneAhead = 2048;

inline void prefetch(const std::uint8_t* p) {
  _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T0);
}

struct Pair256 {
  __m256i a;  // weights 0-31 of a group
  __m256i b;  // 32-63
};

inline __m256i load256(const void* p) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(p));
}

inline __m256i broadcast128(const void* p) {
  return _mm256_broadcastsi128_si256(_mm_loadu_si128(static_cast<const __m128i*>(p)));
}

inline std::uint64_t load64(const std::uint8_t* p) {
  std::uint64_t value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

/// Bytes of all ones where the bitmap has a one.
inline Pair256 bytes_of_bits(std::uint64_t bits) {
  const __m256i all = _mm256_set1_epi64x(static_cast<long long>(bits));
  const __m256i select = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201ULL));
  const __m256i low = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
  const __m256i high =
      _mm256_setr_epi64x(0x0404040404040404, 0x0505050505050505, 0x0606060606060606, 0x0707070707070707);
  return {_mm256_cmpeq_epi8(_mm256_and_si256(_mm256_shuffle_epi8(all, low), select), select),
          _mm256_cmpeq_epi8(_mm256_and_si256(_mm256_shuffle_epi8(all, high), select), select)};
}

inline Pair256 two_bit_plane(const std::uint8_t* plane, bool above_nibble) {
  const __m256i fields = broadcast128(plane);
  const __m256i left = _mm256_setr_epi32(4, 4, 4, 4, 2, 2, 2, 2);
  const __m256i right = _mm256_setr_epi32(0, 0, 0, 0, 2, 2, 2, 2);
  const __m256i mask = _mm256_set1_epi8(0x30);
  const __m256i low_mask = _mm256_set1_epi8(3);
  const __m256i four = _mm256_set1_epi32(4);
  if (above_nibble) {
    return {_mm256_and_si256(_mm256_sllv_epi32(fields, left), mask),
            _mm256_and_si256(_mm256_srlv_epi32(fields, right), mask)};
  }
  return {_mm256_and_si256(_mm256_srlv_epi32(fields, right), low_mask),
          _mm256_and_si256(_mm256_srlv_epi32(fields, _mm256_add_epi32(right, four)), low_mask)};
}

/// The codes of a group of `bits` (1-7) each.
inline Pair256 unpack(const std::uint8_t* plane, int bits) {
  Pair256 codes{_mm256_setzero_si256(), _mm256_setzero_si256()};
  if ((bits & 4) != 0) {
    const __m256i nibbles = load256(plane);
    const __m256i mask = _mm256_set1_epi8(15);
    codes = {_mm256_and_si256(nibbles, mask), _mm256_and_si256(_mm256_srli_epi16(nibbles, 4), mask)};
    plane += 32;
  }
  if ((bits & 2) != 0) {
    const Pair256 two = two_bit_plane(plane, (bits & 4) != 0);
    codes = {_mm256_or_si256(codes.a, two.a), _mm256_or_si256(codes.b, two.b)};
    plane += 16;
  }
  if ((bits & 1) != 0) {
    const Pair256 one = bytes_of_bits(load64(plane));
    const __m256i place = _mm256_set1_epi8(static_cast<char>(1 << (bits - 1)));
    codes = {_mm256_or_si256(codes.a, _mm256_and_si256(one.a, place)),
             _mm256_or_si256(codes.b, _mm256_and_si256(one.b, place))};
  }
  return codes;
}

/// Packed classes: the code is the value.
template <int Bits, typename Sink>
inline void packed_groups(std::size_t rows, std::size_t groups, PlaneCursor& cursor, Sink& result) {
  Sink sink = result;  // a copy, so that it stays in registers
  const std::uint8_t* plane = cursor.plane;
  for (std::size_t row = 0; row < rows; ++row) {
    RowWalk walk(groups, groups_in_16_bits((1 << Bits) - 1));
    for (std::size_t left = groups; left > 0;) {
      const std::size_t count = walk.take(left);
      sink.begin();
      for (std::size_t i = 0; i < count; ++i, plane += 8 * Bits) {
        prefetch(plane + kPlaneAhead);
        const Pair256 codes = unpack(plane, Bits);
        sink.add(codes.a, codes.b);
      }
      walk.after_sum(sink);
      left -= count;
    }
  }
  cursor.plane = plane;
  result = sink;
}

inline Pair256 load_pair(const std::uint8_t* p) {
  return {_mm256_load_si256(reinterpret_cast<const __m256i*>(p)),
          _mm256_load_si256(reinterpret_cast<const __m256i*>(p + 32))};
}

inline void store_pair(std::uint8_t* p, Pair256 v) {
  _mm256_store_si256(reinterpret_cast<__m256i*>(p), v.a);
  _mm256_store_si256(reinterpret_cast<__m256i*>(p + 32), v.b);
}

inline std::uint64_t bits_of_bytes(Pair256 v) {
  return static_cast<std::uint32_t>(_mm256_movemask_epi8(v.a)) |
         static_cast<std::uint64_t>(static_cast<std::uint32_t>(_mm256_movemask_epi8(v.b))) << 32;
}

// A level of one group is a chain of some 20 cycles, so a level is taken for a block of groups that waits in
// L1 before the next one.
constexpr std::size_t kBlockGroups = 16;

struct Block256 {
  alignas(32) std::uint8_t codes[kBlockGroups * kGroupColumns];
  std::uint64_t bits[kBlockGroups];  // of the level before
};

/// One level of a class: code words that go on take their next bit.
class Level256 {
 public:
  Level256(const PlaneClass& c, int j, const PlaneCursor& cursor)
      : last_leaf_(
            _mm256_set1_epi8(static_cast<char>((c.leaves[static_cast<std::size_t>(j)] << c.low_bits) - 1))),
        step_(_mm256_set1_epi8(static_cast<char>(c.step[static_cast<std::size_t>(j)] << c.low_bits))),
        stream_(cursor.level[static_cast<std::size_t>(j)]),
        position_(cursor.level_bit[static_cast<std::size_t>(j)]) {}

  std::uint64_t position() const { return position_; }

  /// Those of a group that go on, by their codes.
  std::uint64_t going_on(Pair256 codes) const {
    return bits_of_bytes({_mm256_cmpgt_epi8(codes.a, last_leaf_), _mm256_cmpgt_epi8(codes.b, last_leaf_)});
  }

  /// Their bits, each in its weight's place.
  std::uint64_t next_bits(std::uint64_t on) {
    const std::uint64_t window = load64(stream_ + (position_ >> 3)) >> (position_ & 7);
    position_ += static_cast<std::uint64_t>(std::popcount(on));
    return _pdep_u64(window, on);
  }

  Pair256 step(Pair256 codes, std::uint64_t bits) const {
    const Pair256 ones = bytes_of_bits(bits);
    return {_mm256_add_epi8(codes.a, _mm256_and_si256(ones.a, step_)),
            _mm256_add_epi8(codes.b, _mm256_and_si256(ones.b, step_))};
  }

 private:
  __m256i last_leaf_;
  __m256i step_;
  const std::uint8_t* stream_;
  std::uint64_t position_;
};

/// Unpacks a block and takes level 0 if there is one.
template <int Bits>
inline void first_pass(const PlaneClass& c, std::size_t groups, PlaneCursor& cursor, Block256& block) {
  const std::uint8_t* plane = cursor.plane;
  if (c.levels == 0) {
    for (std::size_t g = 0; g < groups; ++g, plane += 8 * Bits) {
      prefetch(plane + kPlaneAhead);
      store_pair(block.codes + g * kGroupColumns, unpack(plane, Bits));
    }
  } else {
    Level256 level(c, 0, cursor);
    for (std::size_t g = 0; g < groups; ++g, plane += 8 * Bits) {
      prefetch(plane + kPlaneAhead);
      const Pair256 codes = unpack(plane, Bits);
      block.bits[g] = level.next_bits(level.going_on(codes));
      store_pair(block.codes + g * kGroupColumns, level.step(codes, block.bits[g]));
    }
    cursor.level_bit[0] = level.position();
  }
  cursor.plane = plane;
}

inline void first_pass(const PlaneClass& c, std::size_t groups, PlaneCursor& cursor, Block256& block) {
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

inline void middle_pass(const PlaneClass& c, int j, std::size_t groups, PlaneCursor& cursor,
                        Block256& block) {
  const bool follows = c.follows_bit(j);
  Level256 level(c, j, cursor);
  for (std::size_t g = 0; g < groups; ++g) {
    const Pair256 codes = load_pair(block.codes + g * kGroupColumns);
    block.bits[g] = level.next_bits(follows ? block.bits[g] : level.going_on(codes));
    store_pair(block.codes + g * kGroupColumns, level.step(codes, block.bits[g]));
  }
  cursor.level_bit[static_cast<std::size_t>(j)] = level.position();
}

/// How codes (symbol above low bits) become values: by a table of 16 or 32 for both together, or by one of 32
/// symbols.
enum class Lookup { kSixteen, kThirtyTwo, kSymbols };

struct ValueTable {
  __m256i low, high, low_mask;
  __m128i shift;

  explicit ValueTable(const PlaneClass& c)
      : low_mask(_mm256_set1_epi8(static_cast<char>(c.low_count() - 1))),
        shift(_mm_cvtsi32_si128(c.low_bits)) {
    const std::uint8_t* table = c.symbols << c.low_bits <= 32 ? c.by_code.data() : c.values.data();
    low = broadcast128(table);
    high = broadcast128(table + 16);
  }

  template <Lookup kLookup>
  __m256i values(__m256i codes) const {
    if constexpr (kLookup == Lookup::kSixteen) return _mm256_shuffle_epi8(low, codes);
    __m256i index = codes;
    if constexpr (kLookup == Lookup::kSymbols) {
      index = _mm256_srl_epi16(_mm256_andnot_si256(low_mask, codes), shift);
    }
    // Bit 4 of the index chooses the half of the table; shifted to the top, it is what blendv looks at.
    const __m256i value = _mm256_blendv_epi8(_mm256_shuffle_epi8(low, index),
                                             _mm256_shuffle_epi8(high, index), _mm256_slli_epi16(index, 3));
    if constexpr (kLookup == Lookup::kSymbols)
      return _mm256_add_epi8(value, _mm256_and_si256(codes, low_mask));
    return value;
  }
};

/// Takes the last level, if it is not level 0, and looks the values up.
template <Lookup kLookup, typename Sink>
inline void last_pass(const PlaneClass& c, const ValueTable& table, std::size_t groups, PlaneCursor& cursor,
                      const Block256& block, RowWalk& walk, Sink& result) {
  Sink sink = result;  // a copy, so that it stays in registers
  const int j = c.levels - 1;
  const bool follows = j > 0 && c.follows_bit(j);
  Level256 level(c, j > 0 ? j : 0, cursor);
  for (std::size_t g = 0; g < groups;) {
    const std::size_t end = g + walk.take(groups - g);
    sink.begin();
    for (; g < end; ++g) {
      Pair256 codes = load_pair(block.codes + g * kGroupColumns);
      if (j > 0) codes = level.step(codes, level.next_bits(follows ? block.bits[g] : level.going_on(codes)));
      sink.add(table.values<kLookup>(codes.a), table.values<kLookup>(codes.b));
    }
    walk.after_sum(sink);
  }
  if (j > 0) cursor.level_bit[static_cast<std::size_t>(j)] = level.position();
  result = sink;
}

template <Lookup kLookup, typename Sink>
inline void tiered_groups(const PlaneClass& c, std::size_t rows, std::size_t groups, PlaneCursor& cursor,
                          Sink& sink) {
  const ValueTable table(c);
  Block256 block;
  RowWalk walk(groups, groups_in_16_bits(c.max_value()));
  std::size_t count = 0;
  for (std::size_t left = rows * groups; left > 0; left -= count) {
    count = std::min(left, kBlockGroups);
    first_pass(c, count, cursor, block);
    for (int j = 1; j < c.levels - 1; ++j) middle_pass(c, j, count, cursor, block);
    last_pass<kLookup>(c, table, count, cursor, block, walk, sink);
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
