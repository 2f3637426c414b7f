#include "base/simd_x86.h"
#include "kernels/cpu/int8_vnni.h"
#include "kernels/cpu/matmul_i8.h"

namespace twofold {

namespace {

using Size = std::size_t;

struct Avx512Bytes {
  using Reg = __m512i;
  static constexpr Size kBytes = 64;
  static constexpr Size kRows = 4;  // with four tokens, sixteen sums

  static Reg zero() { return _mm512_setzero_si512(); }
  static Reg load(const std::int8_t* p) { return _mm512_loadu_si512(p); }
  static void store(std::int8_t* p, Reg v) { _mm512_storeu_si512(p, v); }
  static Reg flip_signs(Reg v) { return _mm512_xor_si512(v, _mm512_set1_epi8(-128)); }
  static Reg dot(Reg sum, Reg x, Reg w) { return _mm512_dpbusd_epi32(sum, x, w); }
  static void store_sums(std::int32_t* p, Reg a, Reg b, Reg c, Reg d) {
    const Reg ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    const Reg cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    const Reg all = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    const __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64(all, 1));
    const __m128i sums = _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), sums);
  }
};

}  // namespace

void pack_i8_avx512(const std::int8_t* x, Size x_stride, Size cols, Size tokens, Size begin, Size end,
                    std::int8_t* packed) {
  Int8Blocks<VnniInt8<Avx512Bytes>>::pack(x, x_stride, cols, tokens, begin, end, packed);
}

void matmul_i8_avx512(const std::int8_t* w, Size rows, Size cols, const std::int8_t* packed, Size tokens,
                      std::int32_t* out, Size out_stride) {
  Int8Blocks<VnniInt8<Avx512Bytes>>::multiply({w, packed, out, rows, cols, tokens, out_stride});
}

}  // namespace twofold
