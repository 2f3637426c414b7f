#pragma once

// SIMDe in place of <immintrin.h>, and below it the AVX-512 intrinsics that SIMDe 0.7.4 lacks. Only
// base/simd_x86.h includes this.

#define SIMDE_NO_NATIVE
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>
#include <simde/x86/f16c.h>
#include <simde/x86/fma.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>

// NOLINTBEGIN(readability-identifier-naming, bugprone-signed-char-misuse): names and conversions are Intel's.
using __mmask8 = simde__mmask8;
using __mmask16 = simde__mmask16;
using __mmask32 = simde__mmask32;
using __mmask64 = simde__mmask64;

namespace twofold::emulated {

/// The elements of a vector, and back.
template <typename T, typename V>
std::array<T, sizeof(V) / sizeof(T)> lanes(const V& vector) {
  std::array<T, sizeof(V) / sizeof(T)> result;
  std::memcpy(result.data(), &vector, sizeof(V));
  return result;
}

template <typename V, typename T, std::size_t N>
V vector(const std::array<T, N>& elements) {
  static_assert(sizeof(V) == sizeof(T) * N);
  V result;
  std::memcpy(&result, elements.data(), sizeof(V));
  return result;
}

/// Each element converted as static_cast does.
template <typename From, typename To, typename R, typename V>
R convert(const V& a) {
  const auto from = lanes<From>(a);
  std::array<To, sizeof(R) / sizeof(To)> to;
  static_assert(from.size() == to.size());
  for (std::size_t i = 0; i < to.size(); ++i) to[i] = static_cast<To>(from[i]);
  return vector<R>(to);
}

/// Elements whose mask bit is set, from consecutive memory or zero; the others are not touched.
template <typename T, typename V>
V masked_load(std::uint64_t mask, const void* memory) {
  std::array<T, sizeof(V) / sizeof(T)> r{};
  for (std::size_t i = 0; i < r.size(); ++i) {
    if (mask >> i & 1) std::memcpy(&r[i], static_cast<const char*>(memory) + i * sizeof(T), sizeof(T));
  }
  return vector<V>(r);
}

template <typename T, typename V>
void masked_store(void* memory, std::uint64_t mask, const V& a) {
  const auto from = lanes<T>(a);
  for (std::size_t i = 0; i < from.size(); ++i) {
    if (mask >> i & 1) std::memcpy(static_cast<char*>(memory) + i * sizeof(T), &from[i], sizeof(T));
  }
}

/// Consecutive elements of `a` to the places whose mask bit is set, zero to the others.
template <typename T, typename V>
V expand(std::uint64_t mask, const V& a) {
  const auto from = lanes<T>(a);
  std::array<T, sizeof(V) / sizeof(T)> r{};
  std::size_t next = 0;
  for (std::size_t i = 0; i < r.size(); ++i) {
    if (mask >> i & 1) r[i] = from[next++];
  }
  return vector<V>(r);
}

}  // namespace twofold::emulated

inline std::uint64_t _pdep_u64(std::uint64_t bits, std::uint64_t mask) {
  std::uint64_t result = 0;
  for (; mask != 0; mask &= mask - 1, bits >>= 1) result |= (bits & 1) != 0 ? mask & (~mask + 1) : 0;
  return result;
}

inline __m256i _mm256_dpbusd_avx_epi32(__m256i sum, __m256i a, __m256i b) {
  return simde_mm256_dpbusd_epi32(sum, a, b);
}

inline __m512i _mm512_cvtepu8_epi16(__m256i a) {
  return twofold::emulated::convert<std::uint8_t, std::int16_t, __m512i>(a);
}
inline __m512i _mm512_cvtepu8_epi32(__m128i a) {
  return twofold::emulated::convert<std::uint8_t, std::int32_t, __m512i>(a);
}
inline __m512i _mm512_cvtepi8_epi32(__m128i a) {
  return twofold::emulated::convert<std::int8_t, std::int32_t, __m512i>(a);
}
inline __m512i _mm512_cvtepu16_epi32(__m256i a) {
  return twofold::emulated::convert<std::uint16_t, std::int32_t, __m512i>(a);
}
inline __m512i _mm512_cvtepi16_epi32(__m256i a) {
  return twofold::emulated::convert<std::int16_t, std::int32_t, __m512i>(a);
}
inline __m128i _mm512_cvtepi32_epi8(__m512i a) {
  return twofold::emulated::convert<std::int32_t, std::int8_t, __m128i>(a);
}
inline __m512 _mm512_cvtepi32_ps(__m512i a) {
  return twofold::emulated::convert<std::int32_t, float, __m512>(a);
}
inline __m512i _mm512_cvtps_epi32(__m512 a) {  // rounds as the current mode says; out of range: INT32_MIN
  auto from = twofold::emulated::lanes<float>(a);
  std::array<std::int32_t, 16> to;
  for (std::size_t i = 0; i < 16; ++i) {
    const bool fits = from[i] >= -0x1p31f && from[i] < 0x1p31f;
    to[i] = fits ? static_cast<std::int32_t>(std::lrint(from[i])) : INT32_MIN;
  }
  return twofold::emulated::vector<__m512i>(to);
}
inline __m512 _mm512_cvtph_ps(__m256i a) {
  const __m256 low = _mm256_cvtph_ps(_mm256_castsi256_si128(a));
  const __m256 high = _mm256_cvtph_ps(_mm256_extracti128_si256(a, 1));
  return _mm512_insertf32x8(_mm512_castps256_ps512(low), high, 1);
}

inline __m512i _mm512_maskz_expand_epi32(__mmask16 mask, __m512i a) {
  return twofold::emulated::expand<std::int32_t>(mask, a);
}
inline __m512i _mm512_maskz_expand_epi8(__mmask64 mask, __m512i a) {
  return twofold::emulated::expand<std::int8_t>(mask, a);
}
inline __m512i _mm512_mask_expand_epi8(__m512i otherwise, __mmask64 mask, __m512i a) {
  return _mm512_mask_mov_epi8(otherwise, mask, _mm512_maskz_expand_epi8(mask, a));
}
inline __mmask64 _mm512_testn_epi8_mask(__m512i a, __m512i b) {
  return ~_mm512_test_epi8_mask(a, b);
}

inline __m512i _mm512_mask_i32gather_epi32(__m512i otherwise, __mmask16 mask, __m512i index, const void* base,
                                           int scale) {
  auto r = twofold::emulated::lanes<std::int32_t>(otherwise);
  const auto at = twofold::emulated::lanes<std::int32_t>(index);
  for (std::size_t i = 0; i < r.size(); ++i) {
    if (mask >> i & 1)
      std::memcpy(&r[i], static_cast<const char*>(base) + std::int64_t{at[i]} * scale, sizeof(r[i]));
  }
  return twofold::emulated::vector<__m512i>(r);
}

inline __mmask16 _mm512_cmplt_epu32_mask(__m512i a, __m512i b) {
  const auto x = twofold::emulated::lanes<std::uint32_t>(a);
  const auto y = twofold::emulated::lanes<std::uint32_t>(b);
  unsigned mask = 0;
  for (std::size_t i = 0; i < 16; ++i) mask |= static_cast<unsigned>(x[i] < y[i]) << i;
  return static_cast<__mmask16>(mask);
}

inline __m512i _mm512_mask_slli_epi32(__m512i otherwise, __mmask16 mask, __m512i a, unsigned bits) {
  return _mm512_mask_mov_epi32(otherwise, mask, _mm512_slli_epi32(a, bits));
}

inline __m512i _mm512_maskz_loadu_epi8(__mmask64 mask, const void* memory) {
  return twofold::emulated::masked_load<std::int8_t, __m512i>(mask, memory);
}
inline __m512i _mm512_maskz_loadu_epi16(__mmask32 mask, const void* memory) {
  return twofold::emulated::masked_load<std::int16_t, __m512i>(mask, memory);
}
inline __m512i _mm512_maskz_loadu_epi32(__mmask16 mask, const void* memory) {
  return twofold::emulated::masked_load<std::int32_t, __m512i>(mask, memory);
}
inline __m512 _mm512_maskz_loadu_ps(__mmask16 mask, const void* memory) {
  return twofold::emulated::masked_load<float, __m512>(mask, memory);
}
inline void _mm512_mask_storeu_epi8(void* memory, __mmask64 mask, __m512i a) {
  twofold::emulated::masked_store<std::int8_t>(memory, mask, a);
}
inline void _mm512_mask_storeu_epi32(void* memory, __mmask16 mask, __m512i a) {
  twofold::emulated::masked_store<std::int32_t>(memory, mask, a);
}
inline void _mm512_mask_storeu_ps(void* memory, __mmask16 mask, __m512 a) {
  twofold::emulated::masked_store<float>(memory, mask, a);
}

inline std::int32_t _mm512_reduce_add_epi32(__m512i a) {
  std::uint32_t sum = 0;
  for (std::uint32_t element : twofold::emulated::lanes<std::uint32_t>(a)) sum += element;
  return static_cast<std::int32_t>(sum);
}
inline float _mm512_reduce_add_ps(__m512 a) {  // halves onto halves, as compilers expand it
  auto x = twofold::emulated::lanes<float>(a);
  for (std::size_t half = 8; half > 0; half /= 2) {
    for (std::size_t i = 0; i < half; ++i) x[i] += x[i + half];
  }
  return x[0];
}
inline float _mm512_reduce_max_ps(__m512 a) {
  const auto x = twofold::emulated::lanes<float>(a);
  return *std::max_element(x.begin(), x.end());
}
// NOLINTEND(readability-identifier-naming, bugprone-signed-char-misuse)
