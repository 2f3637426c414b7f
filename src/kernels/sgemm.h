#pragma once

#include <cstddef>

#include "kernels/ops.h"

namespace twofold {

/// y[t * y_stride + r] = sum over c of x[t * cols + c] * w[r * cols + c] in FP32, on the calling thread, for
/// x [tokens, cols] and w [rows, cols]. Thread-safe; needs no scratch memory from the caller.
///
/// Deterministic: y[t, r] depends only on its rows of x and w and on whether tokens > kFewRows. So it is the
/// same bit for bit however the rows are shared among threads and however a long prompt is cut, on one
/// instruction set; another set sums in another order.
inline void sgemm(const float* x, std::size_t tokens, std::size_t cols, const float* w, std::size_t rows,
                  float* y, std::size_t y_stride) {
  ops().gemm_nt({.a = x,
                 .a_stride = cols,
                 .b = w,
                 .b_stride = cols,
                 .c = y,
                 .c_stride = y_stride,
                 .m = tokens,
                 .n = rows,
                 .k = cols});
}

}  // namespace twofold
