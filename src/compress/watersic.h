#pragma once

#include <span>
#include <vector>

#include "compress/error_metric.h"

namespace twofold {

/// Input scales, the inverse of the channels' steps, in proportion to the metric's diagonal; BF16, geometric
/// mean about 1. They depend on the inputs only: linears with the same input have the same.
std::vector<float> watersic_scales(const ErrorMetric& metric);

double geometric_mean(std::span<const float> values);

}  // namespace twofold
