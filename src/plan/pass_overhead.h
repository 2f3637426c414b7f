#pragma once

#include <cstdint>

#include "model/model_spec.h"

namespace twofold {

/// Seconds of one token's pass outside of linear layers: norms, rotation, attention over `context` tokens,
/// activations, sums, and the logits' memory. Measured by running the model's own layers, with caches of that
/// length, around linear layers that do nothing. Takes a fraction of a second.
double measure_pass_overhead(const ModelSpec& spec, int threads, std::int64_t context);

}  // namespace twofold
