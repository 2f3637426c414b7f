#pragma once

// The loops over the groups of a class for AVX-512 (VBMI2), shared by decoding and by the fused products.
// Internal linkage: each file that includes this header compiles them for its own sink, which takes the 64
// values (without base) of a group: sink.add(values).

#include <bit>
#include <cstring>

#include "base/simd_x86.h"
#include "codec/plane_table.h"

namespace twofold {
namespace {

// Bytes ahead of the streams: they are slower than what hardware prefetchers follow, and there are several.
constexpr std::ptrdiff_t kPlaneAhead = 2048;
constexpr std::ptrdiff_t kLevelAhead = 512;

inline void prefetch(const std::uint8_t* p) {
  _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T0);
}

inline std::uint64_t load64(const std::uint8_t* p) {
  std::uint64_t value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

inline __m512i splat(int value) {
  return _mm512_set1_epi8(static_cast<char>(value));
}

/// The codes of a group of Bits each.
template <int Bits>
inline __m512i unpack(const std::uint8_t* plane) {
  __m512i codes = _mm512_setzero_si512();
  if constexpr ((Bits & 4) != 0) {
    const __m256i nibbles = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(plane));
    codes = _mm512_inserti64x4(_mm512_castsi256_si512(nibbles), _mm256_srli_epi16(nibbles, 4), 1);
    codes = _mm512_and_si512(codes, splat(15));
    plane += 32;
  }
  if constexpr ((Bits & 2) != 0) {
    const __m512i fields = _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(plane)));
    if constexpr ((Bits & 4) != 0) {
      const __m512i turns = _mm512_set_epi32(30, 30, 30, 30, 0, 0, 0, 0, 2, 2, 2, 2, 4, 4, 4, 4);
      codes = _mm512_or_si512(codes, _mm512_and_si512(_mm512_rolv_epi32(fields, turns), splat(0x30)));
    } else {
      const __m512i shifts = _mm512_set_epi32(6, 6, 6, 6, 4, 4, 4, 4, 2, 2, 2, 2, 0, 0, 0, 0);
      codes = _mm512_and_si512(_mm512_srlv_epi32(fields, shifts), splat(3));
    }
    plane += 16;
  }
  if constexpr ((Bits & 1) != 0) {
    codes = _mm512_mask_add_epi8(codes, load64(plane), codes, splat(1 << (Bits - 1)));
  }
  return codes;
}

/// Packed classes: the code is the value.
template <int Bits, typename Sink>
inline void packed_groups(std::size_t rows, std::size_t groups, PlaneCursor& cursor, Sink& result) {
  Sink sink = result;  // a copy, so that it stays in registers
  const std::uint8_t* plane = cursor.plane;
  for (; rows > 0; --rows) {
    std::size_t g = 0;
    for (; g + 2 <= groups; g += 2, plane += 16 * Bits) {
      prefetch(plane + kPlaneAhead);
      if constexpr (Bits > 4) prefetch(plane + kPlaneAhead + 64);
      sink.add(unpack<Bits>(plane));
      sink.add_more(unpack<Bits>(plane + 8 * Bits));
    }
    if (g < groups) {
      sink.add(unpack<Bits>(plane));
      plane += 8 * Bits;
    }
    sink.next_row();
  }
  cursor.plane = plane;
  result = sink;
}

/// What a class with levels needs.
struct LevelState {
  struct Level {
    __m512i last_leaf;
    __m512i step;
    const std::uint8_t* stream;
    std::uint64_t position;
  };
  Level level[kPlaneMaxLevels];
  int levels;
  __m512i low, high;  // values by code
  bool wide;          // more than 64 codes

  LevelState(const PlaneClass& c, const PlaneCursor& cursor)
      : levels(c.levels),
        low(_mm512_load_si512(c.by_code.data())),
        high(_mm512_load_si512(c.by_code.data() + 64)),
        wide(c.symbols << c.low_bits > 64) {
    for (int j = 0; j < levels; ++j) {
      const auto i = static_cast<std::size_t>(j);
      level[j] = {splat((c.leaves[i] << c.low_bits) - 1), splat(c.step[i] << c.low_bits), cursor.level[i],
                  cursor.level_bit[i]};
    }
  }

  /// Code words of a group that go on take their next bit of a level.
  static __m512i take(Level& from, __m512i codes) {
    // Codes are at most 127, so that signed comparison serves; a last leaf of -1 lets all go on.
    const std::uint64_t on = _mm512_cmpgt_epi8_mask(codes, from.last_leaf);
    const std::uint64_t window = load64(from.stream + (from.position >> 3)) >> (from.position & 7);
    from.position += static_cast<std::uint64_t>(std::popcount(on));
    return _mm512_mask_add_epi8(codes, _pdep_u64(window, on), codes, from.step);
  }

  __m512i values(__m512i codes) const {
    return wide ? _mm512_permutex2var_epi8(low, codes, high) : _mm512_permutexvar_epi8(codes, low);
  }
};

/// Groups of Bits each, of a class with levels. A level of one group is a chain of some 15 cycles, so four
/// groups go side by side.
template <int Bits, typename Sink>
inline void tiered_groups(const PlaneClass& c, std::size_t rows, std::size_t groups, PlaneCursor& cursor,
                          Sink& result) {
  LevelState state(c, cursor);
  const std::uint8_t* plane = cursor.plane;
  Sink sink = result;  // a copy, so that it stays in registers
  for (; rows > 0; --rows) {
    std::size_t g = 0;
    for (; g + 4 <= groups; g += 4) {
      __m512i codes[4];
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i, plane += 8 * Bits) {
        prefetch(plane + kPlaneAhead);
        codes[i] = unpack<Bits>(plane);
      }
      for (int j = 0; j < state.levels; ++j) {
        LevelState::Level level = state.level[j];
        prefetch(level.stream + (level.position >> 3) + kLevelAhead);
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) codes[i] = LevelState::take(level, codes[i]);
        state.level[j].position = level.position;
      }
      sink.add(state.values(codes[0]));
      sink.add_more(state.values(codes[1]));
      sink.add(state.values(codes[2]));
      sink.add_more(state.values(codes[3]));
    }
    for (; g < groups; ++g, plane += 8 * Bits) {
      __m512i codes = unpack<Bits>(plane);
      for (int j = 0; j < state.levels; ++j) codes = LevelState::take(state.level[j], codes);
      sink.add(state.values(codes));
    }
    sink.next_row();
  }
  result = sink;
  cursor.plane = plane;
  for (int j = 0; j < state.levels; ++j)
    cursor.level_bit[static_cast<std::size_t>(j)] = state.level[j].position;
}

/// A class whose code words all end at the root: values by code only.
template <int Bits, typename Sink>
inline void root_groups(const PlaneClass& c, std::size_t rows, std::size_t groups, PlaneCursor& cursor,
                        Sink& result) {
  const __m512i low = _mm512_load_si512(c.by_code.data());
  const __m512i high = _mm512_load_si512(c.by_code.data() + 64);
  const std::uint8_t* plane = cursor.plane;
  Sink sink = result;  // a copy, so that it stays in registers
  for (; rows > 0; --rows) {
    for (std::size_t g = 0; g < groups; ++g, plane += 8 * Bits) {
      prefetch(plane + kPlaneAhead);
      sink.add(_mm512_permutex2var_epi8(low, unpack<Bits>(plane), high));
    }
    sink.next_row();
  }
  result = sink;
  cursor.plane = plane;
}

template <int Bits, typename Sink>
inline void groups_of(const PlaneClass& c, std::size_t rows, std::size_t groups, PlaneCursor& cursor,
                      Sink& sink) {
  if (c.root_bits == 0) return packed_groups<Bits>(rows, groups, cursor, sink);
  if (c.levels == 0) return root_groups<Bits>(c, rows, groups, cursor, sink);
  tiered_groups<Bits>(c, rows, groups, cursor, sink);
}

/// The groups of a class that is not raw, `groups` in each of the rows.
template <typename Sink>
inline void class_groups(const PlaneClass& c, std::size_t rows, std::size_t groups, PlaneCursor& cursor,
                         Sink& sink) {
  switch (c.code_bits()) {
    case 1:
      return groups_of<1>(c, rows, groups, cursor, sink);
    case 2:
      return groups_of<2>(c, rows, groups, cursor, sink);
    case 3:
      return groups_of<3>(c, rows, groups, cursor, sink);
    case 4:
      return groups_of<4>(c, rows, groups, cursor, sink);
    case 5:
      return groups_of<5>(c, rows, groups, cursor, sink);
    case 6:
      return groups_of<6>(c, rows, groups, cursor, sink);
    default:
      return groups_of<7>(c, rows, groups, cursor, sink);
  }
}

}  // namespace
}  // namespace twofold
