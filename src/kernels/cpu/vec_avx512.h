#pragma once

// Sixteen floats in an AVX-512 register; see vec_avx2.h.

#include <cstddef>
#include <cstdint>

#include "base/simd_x86.h"
#include "kernels/cpu/vec_avx2.h"

namespace twofold {
namespace {

struct Avx512Floats {
  using Reg = __m512;
  static constexpr std::size_t kWidth = 16;
  static constexpr int kGemmRows = 12;  // 12 x 2 sums, 2 vectors of b and one of a: 27 of 32 registers

  static Reg zero() { return _mm512_setzero_ps(); }
  static Reg set(float value) { return _mm512_set1_ps(value); }
  static Reg load(const float* p) { return _mm512_loadu_ps(p); }
  static void store(float* p, Reg v) { _mm512_storeu_ps(p, v); }

  static __mmask16 first(std::size_t n) { return static_cast<__mmask16>((1U << n) - 1); }  // n < 16
  static Reg load_part(const float* p, std::size_t n, Reg rest) {
    return _mm512_mask_mov_ps(rest, first(n), _mm512_maskz_loadu_ps(first(n), p));
  }
  static void store_part(float* p, std::size_t n, Reg v) { _mm512_mask_storeu_ps(p, first(n), v); }

  static Reg add(Reg a, Reg b) { return _mm512_add_ps(a, b); }
  static Reg sub(Reg a, Reg b) { return _mm512_sub_ps(a, b); }
  static Reg mul(Reg a, Reg b) { return _mm512_mul_ps(a, b); }
  static Reg div(Reg a, Reg b) { return _mm512_div_ps(a, b); }
  static Reg fma(Reg a, Reg b, Reg c) { return _mm512_fmadd_ps(a, b, c); }
  static Reg fnma(Reg a, Reg b, Reg c) { return _mm512_fnmadd_ps(a, b, c); }
  static Reg max(Reg a, Reg b) { return _mm512_max_ps(a, b); }
  static Reg min(Reg a, Reg b) { return _mm512_min_ps(a, b); }
  static Reg abs(Reg a) { return _mm512_abs_ps(a); }
  static Reg nan_to_zero(Reg a) { return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(a, a, _CMP_ORD_Q), a); }
  static Reg round(Reg a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT); }
  static Reg exp2_of_integer(Reg n) {
    const __m512i exponent = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
    return _mm512_castsi512_ps(_mm512_slli_epi32(exponent, 23));
  }

  static float reduce_add(Reg v) { return _mm512_reduce_add_ps(v); }
  static void reduce_add(Reg a, Reg b, Reg c, Reg d, float* out) {
    const auto fold = [](Reg v) {
      return _mm256_add_ps(_mm512_castps512_ps256(v),
                           _mm256_castsi256_ps(_mm512_extracti64x4_epi64(_mm512_castps_si512(v), 1)));
    };
    Avx2Floats::reduce_add(fold(a), fold(b), fold(c), fold(d), out);
  }
  static float reduce_max(Reg v) { return _mm512_reduce_max_ps(v); }

  static constexpr std::size_t kTranspose = Avx2Floats::kTranspose;
  static void transpose(const float* in, std::size_t in_stride, float* out, std::size_t out_stride) {
    transpose_8x8(in, in_stride, out, out_stride);
  }

  static Reg from_bf16(const std::uint16_t* p) {
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
  }
  static Reg from_f16(const std::uint16_t* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static void store_int8(std::int8_t* q, Reg v) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(q), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(v)));
  }
};

}  // namespace
}  // namespace twofold
