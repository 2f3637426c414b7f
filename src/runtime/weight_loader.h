#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "format/container.h"
#include "runtime/layer.h"
#include "runtime/linear.h"

namespace twofold {

/// Finds the weights that a spec names in a model directory, coded or not, and checks their shapes. Errors
/// name file and tensor. What it returns views the directory's mappings.
class WeightLoader {
 public:
  explicit WeightLoader(const std::filesystem::path& directory);

  const Container* container() const { return container_.get(); }
  const Checkpoint& checkpoint() const;
  /// How coded linears treat their inputs.
  ActivationMode activations() const { return activations_; }
  /// True when there is a tensor of this name, coded or not.
  bool contains(const std::string& name) const;

  /// Linears for which `replacement` gives a coded tensor use that, with `mode`.
  using Replacement = std::function<const CodedTensor*(const LinearSpec& linear)>;
  std::unique_ptr<Linear> linear(const LinearSpec& spec, const Replacement& replacement = {},
                                 ActivationMode mode = ActivationMode::kPerToken) const;
  LayerWeights layer(const LayerSpec& spec, const Replacement& replacement = {},
                     ActivationMode mode = ActivationMode::kPerToken) const;
  NormWeights norm(const NormSpec& spec) const;
  std::unique_ptr<Embedding> embedding(const std::string& name, std::int64_t rows, std::int64_t cols) const;

  /// The coded tensor of this name, its shape checked, or nullptr.
  const CodedTensor* find_coded(const std::string& name, std::int64_t rows, std::int64_t cols) const;
  /// A tensor that is not coded and can be read as floats.
  const TensorView& float_weight(const std::string& name, const std::vector<std::int64_t>& shape) const;
  std::vector<float> vector(const std::string& name, std::int64_t size) const;

 private:
  FeedForwardWeights feed_forward(const FeedForwardSpec& spec, const Replacement& replacement,
                                  ActivationMode mode) const;
  MoeWeights moe(const MoeSpec& spec, const Replacement& replacement, ActivationMode mode) const;

  std::unique_ptr<Container> container_;  // one of the two
  std::unique_ptr<Checkpoint> checkpoint_;
  ActivationMode activations_ = ActivationMode::kPerToken;
};

}  // namespace twofold
