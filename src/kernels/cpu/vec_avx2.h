#pragma once

// Eight floats in an AVX2 register, for the templates of float_kernels.h and gemm_kernels.h. Everything here
// has internal linkage: each file that includes it is compiled for its own instruction set, and the linker
// must never merge their functions.

#include <cstddef>
#include <cstdint>

#include "base/simd_x86.h"

namespace twofold {
namespace {

/// out[j * out_stride + i] = in[i * in_stride + j] for i, j < 8.
inline void transpose_8x8(const float* in, std::size_t in_stride, float* out, std::size_t out_stride) {
  __m256 rows[8];
  for (std::size_t i = 0; i < 4;
       ++i) {  // element j + 4 of row i beside element j of row i: columns in halves
    const float* low = in + i * in_stride;
    const float* high = in + (i + 4) * in_stride;
    rows[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(low)), _mm_loadu_ps(high), 1);
    rows[i + 4] =
        _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(low + 4)), _mm_loadu_ps(high + 4), 1);
  }
  for (std::size_t half = 0; half < 8; half += 4) {  // 4 x 4 transposes within the 128-bit lanes
    const __m256 a = _mm256_unpacklo_ps(rows[half], rows[half + 1]);
    const __m256 b = _mm256_unpackhi_ps(rows[half], rows[half + 1]);
    const __m256 c = _mm256_unpacklo_ps(rows[half + 2], rows[half + 3]);
    const __m256 d = _mm256_unpackhi_ps(rows[half + 2], rows[half + 3]);
    _mm256_storeu_ps(out + half * out_stride, _mm256_shuffle_ps(a, c, 0x44));
    _mm256_storeu_ps(out + (half + 1) * out_stride, _mm256_shuffle_ps(a, c, 0xee));
    _mm256_storeu_ps(out + (half + 2) * out_stride, _mm256_shuffle_ps(b, d, 0x44));
    _mm256_storeu_ps(out + (half + 3) * out_stride, _mm256_shuffle_ps(b, d, 0xee));
  }
}

struct Avx2Floats {
  using Reg = __m256;
  static constexpr std::size_t kWidth = 8;
  static constexpr int kGemmRows = 6;  // 6 x 2 sums, 2 vectors of b and one of a: 15 of 16 registers

  static Reg zero() { return _mm256_setzero_ps(); }
  static Reg set(float value) { return _mm256_set1_ps(value); }
  static Reg load(const float* p) { return _mm256_loadu_ps(p); }
  static void store(float* p, Reg v) { _mm256_storeu_ps(p, v); }

  static __m256i first(std::size_t n) {  // all bits set in the first n < 8 elements
    const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), index);
  }
  /// The first n < kWidth elements; the others come from `rest`, and their memory is not touched.
  static Reg load_part(const float* p, std::size_t n, Reg rest) {
    const __m256i mask = first(n);
    return _mm256_blendv_ps(rest, _mm256_maskload_ps(p, mask), _mm256_castsi256_ps(mask));
  }
  static void store_part(float* p, std::size_t n, Reg v) { _mm256_maskstore_ps(p, first(n), v); }

  static Reg add(Reg a, Reg b) { return _mm256_add_ps(a, b); }
  static Reg sub(Reg a, Reg b) { return _mm256_sub_ps(a, b); }
  static Reg mul(Reg a, Reg b) { return _mm256_mul_ps(a, b); }
  static Reg div(Reg a, Reg b) { return _mm256_div_ps(a, b); }
  static Reg fma(Reg a, Reg b, Reg c) { return _mm256_fmadd_ps(a, b, c); }    // a b + c
  static Reg fnma(Reg a, Reg b, Reg c) { return _mm256_fnmadd_ps(a, b, c); }  // c - a b
  static Reg max(Reg a, Reg b) { return _mm256_max_ps(a, b); }                // b when either is NaN
  static Reg min(Reg a, Reg b) { return _mm256_min_ps(a, b); }                // b when either is NaN
  static Reg abs(Reg a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0F), a); }
  static Reg nan_to_zero(Reg a) { return _mm256_and_ps(a, _mm256_cmp_ps(a, a, _CMP_ORD_Q)); }
  static Reg round(Reg a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT); }
  static Reg exp2_of_integer(Reg n) {  // n in [-126, 127]
    const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23));
  }

  static float reduce_add(Reg v) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
  }
  /// out[i] = the sum of the elements of the i-th vector.
  static void reduce_add(Reg a, Reg b, Reg c, Reg d, float* out) {
    const Reg halves = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
    _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps(halves, 1)));
  }
  static float reduce_max(Reg v) {
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
  }

  static constexpr std::size_t kTranspose = 8;
  static void transpose(const float* in, std::size_t in_stride, float* out, std::size_t out_stride) {
    transpose_8x8(in, in_stride, out, out_stride);
  }

  static Reg from_bf16(const std::uint16_t* p) {
    const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
  }
  static Reg from_f16(const std::uint16_t* p) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  /// kWidth integers of at most 127 in magnitude, after rounding to nearest even.
  static void store_int8(std::int8_t* q, Reg v) {
    const __m256i wide = _mm256_cvtps_epi32(v);
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(q), _mm_packs_epi16(words, words));
  }
};

}  // namespace
}  // namespace twofold
