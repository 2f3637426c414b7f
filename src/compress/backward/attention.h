#pragma once

#include "compress/backward/pass.h"
#include "runtime/attention.h"

namespace twofold {

/// The way back through run_attention for a whole sequence: from the gradient dout [tokens, hidden_size] of
/// its output to dx of its input x; dx is overwritten. Recomputes what run_attention does not keep.
void backward_attention(const BackwardPass& pass, const AttentionSpec& spec, const AttentionWeights& weights,
                        const float* x, const float* dout, float* dx);

}  // namespace twofold
