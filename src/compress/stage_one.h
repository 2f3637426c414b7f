#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/aligned.h"
#include "base/thread_pool.h"
#include "compress/recipe.h"
#include "compress/statistics.h"
#include "format/container.h"
#include "model/model_spec.h"

namespace twofold {

/// An INT8 matrix and the scales that belong to it.
struct QuantizedMatrix {
  CodedTensorParts parts;
  AlignedVector<std::int8_t> q;  // [rows, cols], -127..127
};

/// Per-channel scales s_j = a_j^alpha of double compression (arXiv 2502.15443, eq. 1), rounded to BF16, as
/// they are stored. A channel that calibration hardly saw (a_j below 1 % of the mean) counts as 1 % of the
/// mean: with a scale of nearly zero it would become an activation outlier on the first text that uses it.
/// All channels unseen: all scales 1.
std::vector<float> dc_scales(std::span<const float> abs_max, double alpha);

/// W' = W * s, one step for the tensor (eq. 2 and 3): step = max|W'| / 127, q = round(W' / step) to nearest
/// even. An all-zero matrix gets step 1.
QuantizedMatrix quantize_per_tensor(std::span<const float> weights, std::int64_t rows, std::int64_t cols,
                                    std::vector<float> input_scale, ThreadPool& pool);

/// One step per row, no input scales: for embeddings and the head.
QuantizedMatrix quantize_per_row(std::span<const float> weights, std::int64_t rows, std::int64_t cols,
                                 ThreadPool& pool);

/// max / levels, the step for values up to `max`; 1 when that is 0, or too small to have an inverse.
float usable_step(float max, float levels = 127);

/// The INT8 step of a layer's activations X / s over the calibration text; 0, which is per token, when no
/// token came to the layer. `input_scale` may be empty: all 1.
float static_activation_step(const ChannelStatistics& statistics, std::span<const float> input_scale);

/// Sets to zero the `sparsity` share of weights with the smallest |W_ij| * a_j over the whole matrix (eq. 4).
void prune(std::span<const float> weights, std::span<const float> abs_max, double sparsity,
           std::span<std::int8_t> q, ThreadPool& pool);

/// All of stage one for a decoder's linear layer. `weights` [rows, cols].
QuantizedMatrix stage_one(std::span<const float> weights, std::int64_t rows, std::int64_t cols,
                          const ChannelStatistics& statistics, const Recipe& recipe, ThreadPool& pool);

/// The tensor as floats. A NaN or infinite weight is an Error that says where. `reuse` gives its memory:
/// fresh memory for every large matrix costs more than the conversion.
AlignedVector<float> load_weights(const TensorView& tensor, ThreadPool& pool,
                                  AlignedVector<float> reuse = {});

/// The same of a linear's weights as [rows, cols], however the checkpoint stores them.
AlignedVector<float> load_linear(const Checkpoint& checkpoint, const LinearSpec& linear, ThreadPool& pool,
                                 AlignedVector<float> reuse = {});

/// Throws the same Error without keeping the floats.
void check_finite(const TensorView& tensor, ThreadPool& pool);

}  // namespace twofold
