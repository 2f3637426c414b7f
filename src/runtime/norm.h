#pragma once

#include <vector>

#include "base/thread_pool.h"
#include "model/model_spec.h"

namespace twofold {

struct NormWeights {
  std::vector<float> weight;  // [size], the offset of the spec added; empty for an absent norm
  std::vector<float> bias;    // [size] or empty
};

/// One vector of spec.size; out may be x.
void apply_norm(const NormSpec& spec, const NormWeights& weights, const float* x, float* out);

/// x [rows, size] to out [rows, size], which may be x. An absent norm copies.
void apply_norm(const NormSpec& spec, const NormWeights& weights, const float* x, std::size_t rows,
                float* out, ThreadPool& pool);

}  // namespace twofold
