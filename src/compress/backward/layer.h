#pragma once

#include "compress/backward/pass.h"
#include "runtime/layer.h"

namespace twofold {

/// The way back through run_layer for a whole sequence: from the gradient of its output, [tokens,
/// hidden_size], to that of its input, in place in `gradient`. Recomputes the layer.
void backward_layer(const BackwardPass& pass, const LayerSpec& layer, const LayerWeights& weights,
                    const float* input, float* gradient);

}  // namespace twofold
