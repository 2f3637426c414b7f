#pragma once

#include <cstddef>

#include "base/thread_pool.h"

namespace twofold {

// Dense FP32 algebra on symmetric matrices, for stage one. Matrices are row-major [n, n]; only the lower
// triangle, diagonal included, is read and written. Work is cut into blocks that depend on the shapes alone,
// so that results do not depend on the number of threads.

/// gram[j * cols + k] += sum over t of x[t * cols + j] * x[t * cols + k] for k <= j; x [tokens, cols]. What
/// lies above the diagonal is left undefined near it.
void add_gram(const float* x, std::size_t tokens, std::size_t cols, float* gram, ThreadPool& pool);

/// Cholesky factorization A = L L^T in place (Golub and Van Loan, Matrix Computations, 4.2: blocked,
/// right-looking). False, and `a` is spoilt, when a pivot is not positive.
bool cholesky(float* a, std::size_t n, ThreadPool& pool);

/// c[i * c_stride + j] += sum over k of a[i * a_stride + k] * b[k * b_stride + j] for a [m, k], b [k, n], on
/// the calling thread.
void gemm_add(const float* a, std::size_t a_stride, const float* b, std::size_t b_stride, float* c,
              std::size_t c_stride, std::size_t m, std::size_t n, std::size_t k);

}  // namespace twofold
