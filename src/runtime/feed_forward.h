#pragma once

#include <memory>
#include <vector>

#include "model/model_spec.h"
#include "runtime/input_observer.h"
#include "runtime/linear.h"

namespace twofold {

struct FeedForwardWeights {
  std::vector<std::unique_ptr<Linear>> in;  // as in FeedForwardSpec
  std::unique_ptr<Linear> down;
};

/// x [tokens, hidden] to out of the same shape.
void run_feed_forward(const FeedForwardSpec& spec, const FeedForwardWeights& weights, const float* x,
                      std::int64_t tokens, float* out, Workspace& workspace, InputObserver* observer);

struct MoeWeights {
  std::unique_ptr<Linear> router;
  std::vector<FeedForwardWeights> experts;
  FeedForwardWeights shared;            // down is nullptr when there is none
  std::unique_ptr<Linear> shared_gate;  // or nullptr
};

/// The same of a mixture: an expert computes, and its weights are decoded, for the tokens sent to it only.
void run_moe(const MoeSpec& spec, const MoeWeights& weights, const float* x, std::int64_t tokens, float* out,
             Workspace& workspace, InputObserver* observer);

}  // namespace twofold
