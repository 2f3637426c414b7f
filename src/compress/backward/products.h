#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "base/aligned.h"
#include "base/thread_pool.h"
#include "kernels/ops.h"
#include "model/model_spec.h"
#include "tensor/checkpoint.h"

namespace twofold {

/// Weights of linears as floats, [rows, cols], for the way back through them.
class LinearMatrices {
 public:
  LinearMatrices(const Checkpoint& checkpoint, std::span<const LinearSpec* const> linears, ThreadPool& pool);

  const float* of(const LinearSpec& linear) const { return by_name_.at(linear.name).data(); }

 private:
  std::map<std::string, AlignedVector<float>> by_name_;
};

/// Gradient of a linear's input from that of its output: dx [tokens, cols] (+)= dy [tokens, rows] W, with W
/// [rows, cols].
void backward_input(const float* dy, std::size_t tokens, const float* w, std::size_t rows, std::size_t cols,
                    float* dx, bool add, ThreadPool& pool);

/// Gradient of its weights: dw [rows, cols] = dy' x, with x [tokens, cols].
void backward_weight(const float* dy, const float* x, std::size_t tokens, std::size_t rows, std::size_t cols,
                     float* dw, ThreadPool& pool);

/// Ops::gemm_nn with a' for a [k, m]; `turned` is scratch memory.
void gemm_tn(Gemm product, AlignedVector<float>& turned);

}  // namespace twofold
