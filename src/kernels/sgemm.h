#pragma once

#include <cstddef>

namespace twofold {

/// y[t * y_stride + r] = sum over c of x[t * cols + c] * w[r * cols + c] in FP32, for x [tokens, cols] and
/// w [rows, cols], on the calling thread: callers share rows among their own threads. Up to kFewRows tokens
/// by the dot products of ops.h, which are several times as fast there, more by the BLAS. Thread-safe. Throws
/// Error when a dimension is beyond the BLAS's 32-bit integers.
///
/// Deterministic on one machine: cut a matrix into the same blocks of rows and the result is the same bit for
/// bit, whichever thread computes which block. Up to kFewRows tokens it does not depend on the blocks either.
void sgemm(const float* x, std::size_t tokens, std::size_t cols, const float* w, std::size_t rows, float* y,
           std::size_t y_stride);

}  // namespace twofold
