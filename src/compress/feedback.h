#pragma once

#include <array>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "base/aligned.h"
#include "base/thread_pool.h"
#include "compress/error_metric.h"

namespace twofold {

/// Prices of integers for a coder with one table per class of columns: what an integer costs in the unit of
/// the squared rounding error, in steps^2.
struct SymbolPrices {
  std::vector<std::uint8_t> column_class;       // of each channel
  std::vector<std::array<float, 256>> classes;  // by q + 128
};

/// Prices kappa * -log2 p(q), p from the integers of plain rounding: columns with a similar mean |q| make a
/// class. `q` [rows, cols].
SymbolPrices make_prices(std::span<const std::int8_t> q, std::size_t cols, double kappa);

struct FeedbackTask {
  const ErrorMetric& metric;
  std::span<const float> weights;      // [rows, cols]
  std::span<const float> column_step;  // by channel
  std::span<const float> row_step;     // 1 or `rows`: the step of a weight is row_step * column_step
  int levels = 127;                    // |q| is at most this
  const SymbolPrices* prices = nullptr;
  bool keep_zeros = false;  // weights of exactly zero stay so: they have been pruned
};

struct FeedbackResult {
  AlignedVector<std::int8_t> q;   // [rows, cols]
  std::vector<double> row_error;  // d H d^T of each: squared error of its output, mean over tokens

  double error() const { return std::accumulate(row_error.begin(), row_error.end(), 0.0); }
};

/// Quantizes column after column, each time to the integers nearest to what the weights would have to be to
/// make up for the errors of the columns before: GPTQ (Frantar et al., arXiv 2210.17323), also known as
/// successive interference cancellation (Lifar et al., arXiv 2603.04956) or Babai's nearest plane. With
/// prices the integer next to the nearest one, towards zero, is taken where rate and distortion together are
/// less. The result does not depend on the number of threads.
FeedbackResult quantize_with_feedback(const FeedbackTask& task, ThreadPool& pool);

}  // namespace twofold
