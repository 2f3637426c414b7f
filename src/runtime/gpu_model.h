#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "kernels/cuda/transformer.h"
#include "model/model_spec.h"
#include "runtime/weight_loader.h"
#include "runtime/workspace.h"

namespace twofold {

/// A Twofold directory of the Llama family whose layers and head are computed by the first GPU, for one
/// sequence at a time. Tokens are looked up in the embedding by the CPU.
class GpuModel {
 public:
  struct Options {
    std::int64_t context = 0;         // room for so many tokens; 0, or more than the model's: the model's
    bool half_cache = true;           // keys and values in FP16, else FP32
    std::int64_t block_tokens = 512;  // of a prompt's pass
    std::function<std::unique_ptr<GpuTransformer>(const GpuShape&)> make = make_gpu_transformer;
  };

  /// Throws Error for anything wrong with the directory, weights that do not match their checksums included;
  /// for what the GPU's kernels do not compute; and without a GPU.
  GpuModel(const std::filesystem::path& directory, const Options& options);

  /// max_positions is that of the context.
  const ModelSpec& spec() const { return spec_; }
  const Container* container() const { return weights_.container(); }
  const Checkpoint& checkpoint() const { return weights_.checkpoint(); }
  std::int64_t length() const { return length_; }  // tokens so far
  /// Begins a new sequence.
  void clear() { length_ = 0; }

  /// Appends tokens to the sequence, at least one, in blocks; the last one's logits. Tokens outside the
  /// vocabulary and sequences past max_positions are Errors.
  std::vector<float> forward(std::span<const std::int32_t> tokens);

 private:
  ModelSpec spec_;
  WeightLoader weights_;
  Workspace workspace_;
  std::unique_ptr<Embedding> embedding_;
  std::unique_ptr<GpuTransformer> gpu_;
  std::int64_t block_tokens_ = 0;
  std::int64_t length_ = 0;
};

}  // namespace twofold
