#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/thread_pool.h"
#include "compress/error_metric.h"
#include "compress/recipe.h"
#include "compress/statistics.h"

namespace twofold {

/// A linear layer on its way through stage one: what scaler, pruner and quantizer may look at.
struct LinearTask {
  std::string name;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::span<float> weights;  // [rows, cols]; only a pruner changes them
  const ChannelStatistics& statistics;
  const ErrorMetric* metric = nullptr;  // for methods that ask for second moments
  double step = 0;  // for quantizers with a rate: their step in units of the output, see rate_plan.h
  const Recipe& recipe;
  ThreadPool& pool;
  std::span<const float> gradient = {};  // magnitudes, [rows, cols], for pruners that ask for them

  std::size_t width() const { return static_cast<std::size_t>(cols); }
};

}  // namespace twofold
