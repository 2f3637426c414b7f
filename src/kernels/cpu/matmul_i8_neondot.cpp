#include "kernels/cpu/int8_neon.h"
#include "kernels/cpu/matmul_i8.h"

namespace twofold {

namespace {

struct DotProducts {
  static int32x4_t add(int32x4_t sums, int8x16_t x, int8x16_t w) { return vdotq_s32(sums, x, w); }
};

}  // namespace

void matmul_i8_neondot(const std::int8_t* w, std::size_t rows, std::size_t cols, const std::int8_t* packed,
                       std::size_t tokens, std::int32_t* out, std::size_t out_stride) {
  Int8Blocks<NeonInt8<DotProducts>>::multiply({w, packed, out, rows, cols, tokens, out_stride});
}

}  // namespace twofold
