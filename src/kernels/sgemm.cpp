#include "kernels/sgemm.h"

#include <cblas.h>

#include <algorithm>
#include <climits>
#include <mutex>

#include "base/error.h"
#include "kernels/ops.h"

namespace twofold {

namespace {

/// Makes OpenBLAS compute on its callers' threads and returns whether these must take turns: a build without
/// threads hands out its buffers without a lock, and concurrent callers get one another's products.
bool prepare_blas() {
  openblas_set_num_threads(1);
  return openblas_get_parallel() == OPENBLAS_SEQUENTIAL;
}

}  // namespace

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
  static const bool takes_turns = prepare_blas();
  static std::mutex turn;
  std::unique_lock lock(turn, std::defer_lock);
  if (takes_turns) lock.lock();
  const auto k = static_cast<int>(cols);
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(tokens), static_cast<int>(rows), k,
              1.0F, x, k, w, k, 0.0F, y, static_cast<int>(y_stride));
}

}  // namespace twofold
