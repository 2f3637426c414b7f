#include "kernels/sgemm.h"

#include <cblas.h>

#include <algorithm>
#include <climits>

#include "base/error.h"

namespace twofold {

void sgemm(const float* x, std::size_t tokens, std::size_t cols, const float* w, std::size_t rows, float* y,
           std::size_t y_stride) {
  static const bool one_thread = (openblas_set_num_threads(1), true);
  static_cast<void>(one_thread);
  if (std::max({tokens, cols, rows, y_stride}) > INT_MAX) {
    fail("sgemm: a matrix dimension is over {}", INT_MAX);
  }
  const auto m = static_cast<int>(tokens);
  const auto n = static_cast<int>(rows);
  const auto k = static_cast<int>(cols);
  if (m == 0 || n == 0) return;
  if (m == 1 && k > 0) {
    cblas_sgemv(CblasRowMajor, CblasNoTrans, n, k, 1.0F, w, std::max(k, 1), x, 1, 0.0F, y, 1);
  } else {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, k, 1.0F, x, std::max(k, 1), w, std::max(k, 1),
                0.0F, y, static_cast<int>(y_stride));
  }
}

}  // namespace twofold
