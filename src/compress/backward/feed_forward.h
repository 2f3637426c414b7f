#pragma once

#include "compress/backward/pass.h"
#include "runtime/feed_forward.h"

namespace twofold {

/// The way back through run_feed_forward for `tokens` tokens of a sequence: from the gradient dout
/// [tokens, hidden] of its output to dx of its input x; dx is overwritten.
void backward_feed_forward(const BackwardPass& pass, const FeedForwardSpec& spec,
                           const FeedForwardWeights& weights, const float* x, std::int64_t tokens,
                           const float* dout, float* dx);

/// The same of a mixture, for the whole sequence. The choice of experts is taken as given; their weights are
/// functions of the router's logits.
void backward_moe(const BackwardPass& pass, const MoeSpec& spec, const MoeWeights& weights, const float* x,
                  const float* dout, float* dx);

}  // namespace twofold
