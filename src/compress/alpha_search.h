#pragma once

#include <cstdint>
#include <vector>

#include "compress/calibration_text.h"
#include "compress/recipe.h"

namespace twofold {

/// What one exponent does to the whole model.
struct AlphaPoint {
  double alpha = 0;
  double kl = 0;               // mean KL divergence to the FP32 model on the calibration text, nats
  double bits_per_weight = 0;  // order-0 entropy of the decoder's linear layers
};

/// Tries alpha = 0, 0.1 ... 1 side by side in one pass over the model: every candidate has its own hidden
/// states, which each layer, quantized with that alpha, carries on. `recipe` gives everything else.
std::vector<AlphaPoint> try_alphas(Model& model, const CalibrationText& text, const Recipe& recipe);

/// The point with the fewest bits among those with kl <= max_kl; when none is, an Error that says the least
/// divergence there was.
const AlphaPoint& best_alpha(const std::vector<AlphaPoint>& points, double max_kl);

}  // namespace twofold
