#pragma once

#include <optional>
#include <span>

#include "model/model_spec.h"
#include "runtime/attention.h"
#include "runtime/feed_forward.h"
#include "runtime/input_observer.h"
#include "runtime/layer_cache.h"
#include "runtime/norm.h"
#include "runtime/positions.h"

namespace twofold {

/// The weights of what LayerSpec names.
struct LayerWeights {
  NormWeights attention_input, attention_output, residual_norm;
  NormWeights feed_forward_input, feed_forward_output, final_residual_norm;
  AttentionWeights attention;
  FeedForwardWeights feed_forward;
  std::optional<MoeWeights> moe;
};

/// Applies one decoder layer in place to hidden [sum of tokens, hidden_size], slices one after the other,
/// and appends to their caches. `positions` is prepared for these slices.
void run_layer(const ModelSpec& spec, const LayerSpec& layer, const LayerWeights& weights,
               std::span<const LayerSlice> slices, const Positions& positions, float* hidden,
               Workspace& workspace, InputObserver* observer = nullptr);

}  // namespace twofold
