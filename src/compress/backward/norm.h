#pragma once

#include "runtime/norm.h"

namespace twofold {

/// Gradient of a norm's input x [rows, size] from that of its output; dx may be dy. The norm
/// is present.
void backward_norm(const NormSpec& spec, const NormWeights& weights, const float* x, const float* dy,
                   std::size_t rows, float* dx, ThreadPool& pool);

/// The same of one vector.
void backward_norm(const NormSpec& spec, const NormWeights& weights, const float* x, const float* dy,
                   float* dx);

}  // namespace twofold
