#include "base/simd_x86.h"
#include "kernels/cpu/int8_vnni.h"
#include "kernels/cpu/matmul_i8.h"

namespace twofold {

namespace {

using Size = std::size_t;

struct Avx2Bytes {
  using Reg = __m256i;
  static constexpr Size kBytes = 32;
  static constexpr Size kRows = 3;  // with four tokens, twelve sums: enough to hide the latency of vpdpbusd

  static Reg zero() { return _mm256_setzero_si256(); }
  static Reg load(const std::int8_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
  static void store(std::int8_t* p, Reg v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
  static Reg flip_signs(Reg v) { return _mm256_xor_si256(v, _mm256_set1_epi8(-128)); }
  static Reg dot(Reg sum, Reg x, Reg w) { return _mm256_dpbusd_avx_epi32(sum, x, w); }
  static void store_sums(std::int32_t* p, Reg a, Reg b, Reg c, Reg d) {
    const Reg halves = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
    const __m128i sums = _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), sums);
  }
};

}  // namespace

void pack_i8_avx2vnni(const std::int8_t* x, Size x_stride, Size cols, Size tokens, Size begin, Size end,
                      std::int8_t* packed) {
  Int8Blocks<VnniInt8<Avx2Bytes>>::pack(x, x_stride, cols, tokens, begin, end, packed);
}

void matmul_i8_avx2vnni(const std::int8_t* w, Size rows, Size cols, const std::int8_t* packed, Size tokens,
                        std::int32_t* out, Size out_stride) {
  Int8Blocks<VnniInt8<Avx2Bytes>>::multiply({w, packed, out, rows, cols, tokens, out_stride});
}

}  // namespace twofold
