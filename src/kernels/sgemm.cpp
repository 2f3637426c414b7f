#include "kernels/sgemm.h"

#include <cblas.h>

#include <algorithm>
#include <climits>

#include "base/error.h"
#include "kernels/blas_turn.h"
#include "kernels/ops.h"

namespace twofold {

void sgemm(const float* x, std::size_t tokens, std::size_t cols, const float* w, std::size_t rows, float* y,
           std::size_t y_stride) {
  if (tokens <= kFewRows || cols == 0) {
    return ops().gemm_nt({.a = x,
                          .a_stride = cols,
                          .b = w,
                          .b_stride = cols,
                          .c = y,
                          .c_stride = y_stride,
                          .m = tokens,
                          .n = rows,
                          .k = cols});
  }
  if (rows == 0) return;
  if (std::max({tokens, cols, rows, y_stride}) > INT_MAX) {
    fail("sgemm: a matrix dimension is over {}", INT_MAX);
  }
  const auto turn = blas_turn();
  const auto k = static_cast<int>(cols);
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(tokens), static_cast<int>(rows), k,
              1.0F, x, k, w, k, 0.0F, y, static_cast<int>(y_stride));
}

}  // namespace twofold
