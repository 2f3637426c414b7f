#pragma once

#include <memory>
#include <span>
#include <vector>

#include "model/model_spec.h"
#include "runtime/input_observer.h"
#include "runtime/layer_cache.h"
#include "runtime/linear.h"
#include "runtime/norm.h"
#include "runtime/positions.h"

namespace twofold {

struct AttentionWeights {
  std::vector<std::unique_ptr<Linear>> qkv;  // as in AttentionSpec
  std::unique_ptr<Linear> out;
  NormWeights q_norm, k_norm;
};

/// Self-attention of x [sum of tokens, hidden_size], slices one after the other, into out of the same shape.
/// Appends to the slices' caches. `positions` is prepared for these slices.
void run_attention(const ModelSpec& model, const AttentionSpec& spec, const AttentionWeights& weights,
                   std::span<const LayerSlice> slices, const Positions& positions, const float* x, float* out,
                   Workspace& workspace, InputObserver* observer);

}  // namespace twofold
