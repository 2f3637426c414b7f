#pragma once

#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "compress/error_metric.h"

namespace twofold {

/// A linear that is to be quantized at a step, in units of its output (rate_plan.h).
struct SteppedLinear {
  std::span<const float> weights;  // [rows, cols]
  double step = 0;
};

/// Input scales that linears with the same input share, and what makes a step of them: the integers of
/// channel j are multiples of (step / norm) / scales[j].
struct ChannelScales {
  std::vector<float> scales;  // BF16, geometric mean about 1
  double norm = 1;
};

/// Scales in proportion to the metric's diagonal (WaterSIC), but held down where at these steps a weight
/// would leave -127 ... 127.
ChannelScales channel_scales(const ErrorMetric& metric, std::span<const SteppedLinear> linears,
                             ThreadPool& pool);

}  // namespace twofold
