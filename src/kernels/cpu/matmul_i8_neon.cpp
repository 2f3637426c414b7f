#include "kernels/cpu/int8_neon.h"
#include "kernels/cpu/matmul_i8.h"

namespace twofold {

namespace {

/// Two products in 16 bits, 2 * 127 * 127 < 2^15, then pairs of these in 32.
struct WideningProducts {
  static int32x4_t add(int32x4_t sums, int8x16_t x, int8x16_t w) {
    const int16x8_t low = vmull_s8(vget_low_s8(x), vget_low_s8(w));
    return vpadalq_s16(sums, vmlal_high_s8(low, x, w));
  }
};

}  // namespace

void pack_i8_neon(const std::int8_t* x, std::size_t x_stride, std::size_t cols, std::size_t tokens,
                  std::size_t begin, std::size_t end, std::int8_t* packed) {
  Int8Blocks<NeonInt8<WideningProducts>>::pack(x, x_stride, cols, tokens, begin, end, packed);
}

void matmul_i8_neon(const std::int8_t* w, std::size_t rows, std::size_t cols, const std::int8_t* packed,
                    std::size_t tokens, std::int32_t* out, std::size_t out_stride) {
  Int8Blocks<NeonInt8<WideningProducts>>::multiply({w, packed, out, rows, cols, tokens, out_stride});
}

}  // namespace twofold
