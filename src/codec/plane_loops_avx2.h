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

// Bytes ahead of the plane, which is read more slowly than hardware prefetchers follow: a page, where those
// stop.
constexpr std::ptrdiff_t kPlaneAhead = 4096;

inline void prefetch(const std::uint8_t* p) {
  _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T1);
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

// A level of one group is a chain of some 20 cycles, so every step is taken for a block of groups that waits
// in L1 before the next one.
constexpr std::size_t kBlockGroups = 16;

struct Block256 {
  alignas(32) std::uint8_t codes[kBlockGroups * kGroupColumns];
  std::uint64_t on[kBlockGroups];                     // weights that go on at the level last looked at
  std::uint64_t bits[kPlaneMaxLevels][kBlockGroups];  // of a level, each in its weight's place
};

/// The weights whose codes are above a limit.
inline std::uint64_t above(Pair256 codes, __m256i limit) {
  return bits_of_bytes({_mm256_cmpgt_epi8(codes.a, limit), _mm256_cmpgt_epi8(codes.b, limit)});
}

inline __m256i last_leaf(const PlaneClass& c, int j) {
  return _mm256_set1_epi8(static_cast<char>((c.leaves[static_cast<std::size_t>(j)] << c.low_bits) - 1));
}

/// Unpacks a block, and says which weights go on at level 0.
template <int Bits>
inline void unpack_block(const PlaneClass& c, std::size_t groups, PlaneCursor& cursor, Block256& block) {
  const std::uint8_t* plane = cursor.plane;
  const auto unpack_all = [&](const auto& on) {
    for (std::size_t g = 0; g < groups; ++g, plane += 8 * Bits) {
      const Pair256 codes = unpack(plane, Bits);
      block.on[g] = on(codes);
      store_pair(block.codes + g * kGroupColumns, codes);
    }
  };
  if (c.levels == 0) {
    unpack_all([](Pair256) { return 0; });
  } else if (Bits % 2 == 1 && c.follows_plane()) {
    unpack_all([&plane](Pair256) { return load64(plane + 8 * (Bits - 1)); });
  } else {
    unpack_all([limit = last_leaf(c, 0)](Pair256 codes) { return above(codes, limit); });
  }
  cursor.plane = plane;
}

inline void unpack_block(const PlaneClass& c, std::size_t groups, PlaneCursor& cursor, Block256& block) {
  switch (c.code_bits()) {
    case 1:
      return unpack_block<1>(c, groups, cursor, block);
    case 2:
      return unpack_block<2>(c, groups, cursor, block);
    case 3:
      return unpack_block<3>(c, groups, cursor, block);
    case 4:
      return unpack_block<4>(c, groups, cursor, block);
    case 5:
      return unpack_block<5>(c, groups, cursor, block);
    case 6:
      return unpack_block<6>(c, groups, cursor, block);
    default:
      return unpack_block<7>(c, groups, cursor, block);
  }
}

/// Takes the bits of level j for the weights `on`.
inline void take_bits(int j, const std::uint64_t* on, std::size_t groups, PlaneCursor& cursor,
                      Block256& block) {
  const auto level = static_cast<std::size_t>(j);
  const std::uint8_t* stream = cursor.level[level];
  std::uint64_t position = cursor.level_bit[level];
  for (std::size_t g = 0; g < groups; ++g) {
    const std::uint64_t window = load64(stream + (position >> 3)) >> (position & 7);
    position += static_cast<std::uint64_t>(std::popcount(on[g]));
    block.bits[level][g] = _pdep_u64(window, on[g]);
  }
  cursor.level_bit[level] = position;
}

/// The bits of levels [begin, end), not yet in the codes, and what each adds.
class PendingLevels {
 public:
  PendingLevels(const PlaneClass& c, int begin, int end, const Block256& block) : count_(end - begin) {
    for (int i = 0; i < count_; ++i) {
      const auto level = static_cast<std::size_t>(begin) + static_cast<std::size_t>(i);
      step_[i] = _mm256_set1_epi8(static_cast<char>(c.step[level] << c.low_bits));
      bits_[i] = block.bits[level];
    }
  }

  template <int kCount>
  Pair256 add(Pair256 codes, std::size_t g) const {
#pragma GCC unroll 2
    for (int i = 0; i < kCount; ++i) codes = add_level(codes, i, g);
    if constexpr (kCount == 2) {
      for (int i = 2; i < count_ && i < kPlaneMaxLevels; ++i) codes = add_level(codes, i, g);
    }
    return codes;
  }
  int count() const {
    return count_;
  }

 private:
  Pair256 add_level(Pair256 codes, int i, std::size_t g) const {
    const Pair256 ones = bytes_of_bits(bits_[i][g]);
    return {_mm256_add_epi8(codes.a, _mm256_and_si256(ones.a, step_[i])),
            _mm256_add_epi8(codes.b, _mm256_and_si256(ones.b, step_[i]))};
  }

  int count_;
  __m256i step_[kPlaneMaxLevels] = {};
  const std::uint64_t* bits_[kPlaneMaxLevels] = {};
};

/// Adds pending levels to the codes of a block and says which weights go on.
template <int kPending>
inline void compare_block(const PendingLevels& pending, __m256i limit, std::size_t groups, Block256& block) {
  for (std::size_t g = 0; g < groups; ++g) {
    const Pair256 codes = pending.add<kPending>(load_pair(block.codes + g * kGroupColumns), g);
    block.on[g] = above(codes, limit);
    store_pair(block.codes + g * kGroupColumns, codes);
  }
}

inline void fetch_ahead(std::size_t groups, PlaneCursor& cursor) {
  const std::uint8_t* end = cursor.ahead + groups * cursor.ahead_per_group;
  for (; cursor.ahead < end; cursor.ahead += 64) {
    _mm_prefetch(reinterpret_cast<const char*>(cursor.ahead), _MM_HINT_T1);
  }
}

/// Unpacks a block and takes all of its levels' bits; returns the first level that the codes lack.
inline int block_levels(const PlaneClass& c, std::size_t groups, PlaneCursor& cursor, Block256& block) {
  unpack_block(c, groups, cursor, block);
  int pending = 0;
  const std::uint64_t* on = block.on;
  for (int j = 0; j < c.levels; ++j) {
    // Who goes on may follow from the level before; only where it does not, codes are looked at.
    if (j > 0 && c.follows_bit(j)) {
      on = block.bits[j - 1];
    } else if (j > 0 && !c.follows_all(j)) {
      const PendingLevels levels(c, pending, j, block);
      if (levels.count() == 1) {
        compare_block<1>(levels, last_leaf(c, j), groups, block);
      } else {
        compare_block<2>(levels, last_leaf(c, j), groups, block);
      }
      pending = j;
      on = block.on;
    }
    take_bits(j, on, groups, cursor, block);
  }
  return pending;
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
    // An index with its highest bit set gives zero: the upper 16 in the low half, the lower 16 in the high
    // one.
    const __m256i value =
        _mm256_or_si256(_mm256_shuffle_epi8(low, _mm256_add_epi8(index, _mm256_set1_epi8(0x70))),
                        _mm256_shuffle_epi8(high, _mm256_sub_epi8(index, _mm256_set1_epi8(16))));
    if constexpr (kLookup == Lookup::kSymbols)
      return _mm256_add_epi8(value, _mm256_and_si256(codes, low_mask));
    return value;
  }
};

/// Adds the last levels and looks the values up.
template <Lookup kLookup, int kPending, typename Sink>
inline void look_up_block(const PendingLevels& pending, const ValueTable& table, std::size_t groups,
                          const Block256& block, RowWalk& walk, Sink& result) {
  Sink sink = result;  // a copy, so that it stays in registers
  for (std::size_t g = 0; g < groups;) {
    const std::size_t end = g + walk.take(groups - g);
    sink.begin();
    for (; g < end; ++g) {
      const Pair256 codes = pending.add<kPending>(load_pair(block.codes + g * kGroupColumns), g);
      sink.add(table.values<kLookup>(codes.a), table.values<kLookup>(codes.b));
    }
    walk.after_sum(sink);
  }
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
    fetch_ahead(count, cursor);
    const PendingLevels pending(c, block_levels(c, count, cursor, block), c.levels, block);
    if (pending.count() == 0) {
      look_up_block<kLookup, 0>(pending, table, count, block, walk, sink);
    } else if (pending.count() == 1) {
      look_up_block<kLookup, 1>(pending, table, count, block, walk, sink);
    } else {
      look_up_block<kLookup, 2>(pending, table, count, block, walk, sink);
    }
  }
}

/// The groups of a class with symbols, `groups` in each of the rows.
template <typename Sink>
inline void symbol_groups(const PlaneClass& c, std::size_t rows, std::size_t groups, PlaneCursor& cursor,
                          Sink& sink) {
  const int codes = c.symbols << c.low_bits;
  if (codes <= 16) return tiered_groups<Lookup::kSixteen>(c, rows, groups, cursor, sink);
  if (codes <= 32) return tiered_groups<Lookup::kThirtyTwo>(c, rows, groups, cursor, sink);
  return tiered_groups<Lookup::kSymbols>(c, rows, groups, cursor, sink);
}

/// The groups of a class that is not raw, `groups` in each of the rows.
template <typename Sink>
inline void class_groups(const PlaneClass& c, std::size_t rows, std::size_t groups, PlaneCursor& cursor,
                         Sink& sink) {
  if (c.root_bits > 0) return symbol_groups(c, rows, groups, cursor, sink);
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

}  // namespace
}  // namespace twofold
