#pragma once

#include <span>

#include "runtime/model.h"

namespace twofold {

/// The way back from the loss of a sequence, the mean over its tokens but the first of -log p(token | those
/// before), to what the last layer makes of it: hidden [tokens, hidden_size] to its gradient of the same
/// shape. Returns the loss. A sequence of one token has loss 0.
double backward_loss(Model& model, std::span<const std::int32_t> sequence, const float* hidden,
                     float* gradient);

}  // namespace twofold
