#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/cuda/device.h"
#include "kernels/cuda/step.h"

namespace twofold {

/// Weights of a linear in the CPU's memory, coded or floats. Views are needed until it has been added.
struct GpuLinearSource {
  std::string name;  // for messages
  std::int64_t rows = 0;
  std::int64_t cols = 0;

  const Decoder* decoder = nullptr;  // coded: W[i][j] ~ scale[i or 0] * q[i][j] / input_scale[j]
  std::int64_t rows_per_chunk = 0;
  std::vector<std::span<const std::uint8_t>> chunks;
  std::span<const float> scale;        // 1 or rows
  std::span<const float> input_scale;  // cols or none
  float activation_step = 0;           // 0: per token

  device::StepFloat type = device::StepFloat::kF32;  // without a decoder
  std::span<const std::uint8_t> floats;

  std::vector<float> bias;  // rows or none
};

struct GpuNormSource {
  std::vector<float> weight;  // empty: no norm
  float eps = 0;
};

/// A layer of the Llama family: RMSNorm, attention with rotated heads, RMSNorm, a feed-forward gated by SiLU.
struct GpuLayerSource {
  GpuNormSource attention_norm, feed_forward_norm;
  std::vector<GpuLinearSource> qkv;  // three, or the one that is all
  GpuNormSource q_norm, k_norm;      // of each head
  std::optional<std::size_t> rotation;
  float scale = 0;
  std::int64_t window = 0;  // last keys that a token sees; 0: all
  GpuLinearSource out;
  std::vector<GpuLinearSource> gate_up;  // two, or the one that is both
  GpuLinearSource down;
};

struct GpuShape {
  std::int64_t hidden = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;  // even, at most device::kStepHeadDim
  std::int64_t vocab = 0;
  std::int64_t context = 0;       // positions of the cache
  std::int64_t block_tokens = 0;  // of one pass, at most; up to kGpuMaxVectors
  bool half_cache = true;         // keys and values in FP16, else FP32
};

/// A transformer on the first GPU, with the cache of one sequence. Until it is gone, nothing else may use the
/// GPU. Not thread-safe. All functions throw Error when the driver reports one.
class GpuTransformer {
 public:
  virtual ~GpuTransformer() = default;

  /// Cosines and sines of positions, [context, half] each; layers name it by its number.
  virtual void add_rotation(std::span<const float> cosines, std::span<const float> sines) = 0;
  /// Layers in their order. An Error when a chunk is broken, or for a codec without kernels.
  virtual void add_layer(const GpuLayerSource& layer) = 0;
  /// What comes last: final norm and head.
  virtual void set_head(const GpuNormSource& norm, const GpuLinearSource& head) = 0;

  /// Runs tokens with these embeddings, [tokens, hidden], 1 to block_tokens of them, at `position` and
  /// after it, which must lie within the context; the tokens before are those of earlier calls. The last
  /// one's logits into `logits` unless it is empty. An Error when a chunk is broken.
  virtual void forward(std::span<const float> embeddings, std::int64_t position, std::span<float> logits) = 0;
};

/// An Error in a build without CUDA, and without a GPU.
std::unique_ptr<GpuTransformer> make_gpu_transformer(const GpuShape& shape);

}  // namespace twofold
