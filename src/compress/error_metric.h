#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/aligned.h"
#include "base/thread_pool.h"
#include "compress/statistics.h"

namespace twofold {

/// What a change of a linear layer's weights does to its output: for a row of differences d the mean of
/// (d x)^2 over the calibration tokens is d H d^T with H = X^T X / tokens + damping * mean(diag H) * I. It is
/// kept as H = L D^2 L^T, L unit lower triangular, so that d H d^T = sum over k of (D_k (d L)_k)^2: error
/// feedback (feedback.h) chooses the weights one column after the other, from the last to the first, and term
/// k depends on columns k and after only.
struct ErrorMetric {
  std::size_t cols = 0;
  std::vector<std::int32_t> order;  // the input channel at each place of the factor; empty: as they are
  AlignedVector<float> factor;      // L [cols, cols]; nothing above the diagonal may be used
  std::vector<float> diagonal;      // D, > 0

  std::size_t channel(std::size_t place) const {
    return order.empty() ? place : static_cast<std::size_t>(order[place]);
  }
};

/// `gram` is the lower triangle of X^T X. Channels are taken in `order`, which may be empty; its last is
/// quantized first. A matrix that is not positive definite in FP32 is damped ten times as much, and so on.
ErrorMetric make_error_metric(std::span<const float> gram, std::size_t cols, std::int64_t tokens,
                              double damping, std::vector<std::int32_t> order, ThreadPool& pool);

}  // namespace twofold
