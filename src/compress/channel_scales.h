#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "compress/error_metric.h"
#include "compress/statistics.h"

namespace twofold {

/// A linear that is to be quantized at a step, in units of its output (rate_plan.h).
struct SteppedLinear {
  std::span<const float> weights;  // [rows, cols]
  double step = 0;
  double sensitivity = 1;
};

/// Input scales that linears with the same input share, and what makes a step of them: the integers of
/// channel j are multiples of (step / norm) / scales[j].
struct ChannelScales {
  std::vector<float> scales;  // BF16, geometric mean about 1
  double norm = 1;
};

/// Scales in proportion to D_j f_j, D the metric's diagonal. With f = 1 (WaterSIC) the rounding of the
/// weights costs least for its rate; but the inputs, divided by the scales, become INT8 with one step for a
/// token, which the largest of them sets. Among f_j = max(1, r_j / t)^e, r_j the size of input j over D_j,
/// that with the least error of weights and inputs together is taken; `activations` is false where inputs
/// stay floats. f is held down where a weight would leave -127 ... 127.
ChannelScales channel_scales(const ErrorMetric& metric, const ChannelStatistics& inputs,
                             std::span<const SteppedLinear> linears, bool activations, ThreadPool& pool);

}  // namespace twofold
