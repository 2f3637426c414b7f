#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "compress/linear_task.h"

namespace twofold {

/// A choice of the scale s_j of each input channel: activations are divided by it, weights multiplied.
struct Scaler {
  std::string_view name;  // as in recipes
  /// `cols` scales > 0 that BF16 holds, or none for all 1.
  std::vector<float> (*scales)(const LinearTask& task);
};

#define TWOFOLD_SCALERS(X)                   \
  X("none", scale_none)                      \
  X("dc", scale_dc)                          \
  X("smoothquant", scale_smoothquant)        \
  X("outlier-suppression", scale_suppressed) \
  X("awq", scale_awq)

#define TWOFOLD_DECLARE(name, function) std::vector<float> function(const LinearTask& task);
TWOFOLD_SCALERS(TWOFOLD_DECLARE)
#undef TWOFOLD_DECLARE

std::span<const Scaler> scalers();
/// Throws Error listing the names there are.
const Scaler& find_scaler(std::string_view name);

/// Scales as they may be stored: rounded to BF16, finite, none far below the mean.
std::vector<float> storable_scales(std::vector<double> scales);

}  // namespace twofold
