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
inline void packed_groups(std::size_t rows, std::size_t groups, PlaneCursor& cursor, Sink& sink) {
  const std::uint8_t* plane = cursor.plane;
  for (; rows > 0; --rows) {
    for (std::size_t g = 0; g < groups; ++g, plane += 8 * Bits) {
      prefetch(plane + kPlaneAhead);
      sink.add(unpack<Bits>(plane));
    }
    sink.next_row();
  }
  cursor.plane = plane;
}

/// Unpacks codes of any width with few instructions, for the loops that have many others.
struct AnyWidth {
  bool four, two, one;
  __m512i turns, two_mask, place;

  explicit AnyWidth(int bits)
      : four((bits & 4) != 0),
        two((bits & 2) != 0),
        one((bits & 1) != 0),
        turns(four ? _mm512_set_epi32(30, 30, 30, 30, 0, 0, 0, 0, 2, 2, 2, 2, 4, 4, 4, 4)
                   : _mm512_set_epi32(26, 26, 26, 26, 28, 28, 28, 28, 30, 30, 30, 30, 0, 0, 0, 0)),
        two_mask(splat(four ? 0x30 : 3)),
        place(splat(1 << (bits - 1))) {}

  __m512i unpack(const std::uint8_t* plane) const {
    __m512i codes = _mm512_setzero_si512();
    if (four) {
      const __m256i nibbles = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(plane));
      codes = _mm512_inserti64x4(_mm512_castsi256_si512(nibbles), _mm256_srli_epi16(nibbles, 4), 1);
      codes = _mm512_and_si512(codes, splat(15));
      plane += 32;
    }
    if (two) {
      const __m512i fields = _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(plane)));
      codes = _mm512_or_si512(codes, _mm512_and_si512(_mm512_rolv_epi32(fields, turns), two_mask));
      plane += 16;
    }
    if (one) codes = _mm512_mask_add_epi8(codes, load64(plane), codes, place);
    return codes;
  }
};

/// Levels is that of the class; kWide when it has more than 64 codes.
template <int Levels, bool kWide, typename Sink>
inline void tiered_groups(const PlaneClass& c, std::size_t rows, std::size_t groups, PlaneCursor& cursor,
                          Sink& sink) {
  const AnyWidth width(c.code_bits());
  const __m512i low = _mm512_load_si512(c.by_code.data());
  const __m512i high = _mm512_load_si512(c.by_code.data() + 64);
  __m512i last_leaf[Levels + 1];
  __m512i step[Levels + 1];
  bool follows[Levels + 1];
  const std::uint8_t* stream[Levels + 1];
  std::uint64_t position[Levels + 1];
  for (int j = 0; j < Levels; ++j) {
    const auto level = static_cast<std::size_t>(j);
    last_leaf[j] = splat((c.leaves[level] << c.low_bits) - 1);
    step[j] = splat(c.step[level] << c.low_bits);
    follows[j] = j > 0 && c.follows_bit(j);
    stream[j] = cursor.level[level];
    position[j] = cursor.level_bit[level];
  }
  const std::size_t group_bytes = c.group_bytes();
  const std::uint8_t* plane = cursor.plane;
  Sink local = sink;
  for (; rows > 0; --rows) {
    for (std::size_t g = 0; g < groups; ++g, plane += group_bytes) {
      prefetch(plane + kPlaneAhead);
      __m512i codes = width.unpack(plane);
      std::uint64_t bits = 0;
#pragma GCC unroll 5
      for (int j = 0; j < Levels; ++j) {
        // Codes are at most 127, so that signed comparison serves; a last leaf of -1 lets all go on.
        const std::uint64_t on = follows[j] ? bits : _mm512_cmpgt_epi8_mask(codes, last_leaf[j]);
        const std::uint8_t* at = stream[j] + (position[j] >> 3);
        if (j == 0) prefetch(at + kLevelAhead);
        bits = _pdep_u64(load64(at) >> (position[j] & 7), on);
        position[j] += static_cast<std::uint64_t>(std::popcount(on));
        codes = _mm512_mask_add_epi8(codes, bits, codes, step[j]);
      }
      local.add(kWide ? _mm512_permutex2var_epi8(low, codes, high) : _mm512_permutexvar_epi8(codes, low));
    }
    local.next_row();
  }
  sink = local;
  cursor.plane = plane;
  for (int j = 0; j < Levels; ++j) cursor.level_bit[static_cast<std::size_t>(j)] = position[j];
}

template <bool kWide, typename Sink>
inline void tiered_levels(const PlaneClass& c, std::size_t rows, std::size_t groups, PlaneCursor& cursor,
                          Sink& sink) {
  switch (c.levels) {
    case 0:
      return tiered_groups<0, kWide>(c, rows, groups, cursor, sink);
    case 1:
      return tiered_groups<1, kWide>(c, rows, groups, cursor, sink);
    case 2:
      return tiered_groups<2, kWide>(c, rows, groups, cursor, sink);
    case 3:
      return tiered_groups<3, kWide>(c, rows, groups, cursor, sink);
    case 4:
      return tiered_groups<4, kWide>(c, rows, groups, cursor, sink);
    default:
      return tiered_groups<5, kWide>(c, rows, groups, cursor, sink);
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
  if (c.symbols << c.low_bits <= 64) return tiered_levels<false>(c, rows, groups, cursor, sink);
  return tiered_levels<true>(c, rows, groups, cursor, sink);
}

}  // namespace
}  // namespace twofold
