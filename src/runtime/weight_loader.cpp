#include "runtime/weight_loader.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/gguf_model.h"
#include "tensor/tensor_floats.h"

namespace twofold {

WeightLoader::WeightLoader(const std::filesystem::path& directory) {
  if (!Container::is_container(directory)) {
    checkpoint_ = open_checkpoint(directory);
    return;
  }
  container_ = std::make_unique<Container>(directory);
  const std::string where = (directory / "config.json").string() + ": quantization_config";
  activations_ = parse_activation_mode(json_string(container_->recipe(), "activations", where));
}

const Checkpoint& WeightLoader::checkpoint() const {
  return container_ ? container_->checkpoint() : *checkpoint_;
}

bool WeightLoader::contains(const std::string& name) const {
  return checkpoint().contains(name) || (container_ && container_->coded().contains(name));
}

const CodedTensor* WeightLoader::find_coded(const std::string& name, std::int64_t rows,
                                            std::int64_t cols) const {
  if (!container_) return nullptr;
  const auto it = container_->coded().find(name);
  if (it == container_->coded().end()) return nullptr;
  const CodedTensor& tensor = it->second;
  if (tensor.rows != rows || tensor.cols != cols) {
    fail("{}: {}: expected shape [{}, {}], found [{}, {}]", tensor.file, name, rows, cols, tensor.rows,
         tensor.cols);
  }
  return &tensor;
}

const TensorView& WeightLoader::float_weight(const std::string& name,
                                             const std::vector<std::int64_t>& shape) const {
  const TensorView& tensor = checkpoint().at(name, shape);
  if (!is_weight(tensor)) {
    fail("{}: {}: expected F32, F16, BF16 or GGML blocks, found {}", tensor.file, name,
         dtype_name(tensor.dtype));
  }
  return tensor;
}

std::vector<float> WeightLoader::vector(const std::string& name, std::int64_t size) const {
  const TensorView& tensor = float_weight(name, {size});
  std::vector<float> values(static_cast<std::size_t>(size));
  read_floats(tensor, 0, values);
  return values;
}

NormWeights WeightLoader::norm(const NormSpec& spec) const {
  NormWeights weights;
  if (!spec.present()) return weights;
  if (spec.weight) {
    weights.weight = vector(spec.name + ".weight", spec.size);
    for (float& weight : weights.weight) weight += spec.weight_offset;
  } else {
    weights.weight.assign(static_cast<std::size_t>(spec.size), 1.0F);
  }
  if (spec.bias) weights.bias = vector(spec.name + ".bias", spec.size);
  return weights;
}

std::unique_ptr<Embedding> WeightLoader::embedding(const std::string& name, std::int64_t rows,
                                                   std::int64_t cols) const {
  if (const CodedTensor* coded = find_coded(name, rows, cols)) return make_coded_embedding(*coded);
  return make_dense_embedding(float_weight(name, {rows, cols}));
}

std::unique_ptr<Linear> WeightLoader::linear(const LinearSpec& spec, const Replacement& replacement,
                                             ActivationMode mode) const {
  if (!spec.present()) return nullptr;
  std::vector<float> bias;
  if (spec.bias) bias = vector(spec.name + ".bias", spec.rows);
  if (const CodedTensor* coded = replacement ? replacement(spec) : nullptr)
    return make_coded_linear(*coded, mode, std::move(bias));
  if (const CodedTensor* coded = find_coded(spec.weight(), spec.rows, spec.cols))
    return make_coded_linear(*coded, activations_, std::move(bias));
  const TensorView& weight = float_weight(spec.weight(), spec.stored_shape());
  return spec.transposed ? make_transposed_linear(weight, std::move(bias))
                         : make_dense_linear(weight, std::move(bias));
}

FeedForwardWeights WeightLoader::feed_forward(const FeedForwardSpec& spec, const Replacement& replacement,
                                              ActivationMode mode) const {
  FeedForwardWeights weights;
  for (const LinearSpec& in : spec.in) weights.in.push_back(linear(in, replacement, mode));
  weights.down = linear(spec.down, replacement, mode);
  return weights;
}

MoeWeights WeightLoader::moe(const MoeSpec& spec, const Replacement& replacement, ActivationMode mode) const {
  MoeWeights weights;
  weights.router = linear(spec.router);
  for (const FeedForwardSpec& expert : spec.experts)
    weights.experts.push_back(feed_forward(expert, replacement, mode));
  weights.shared = feed_forward(spec.shared, replacement, mode);
  weights.shared_gate = linear(spec.shared_gate);
  return weights;
}

LayerWeights WeightLoader::layer(const LayerSpec& spec, const Replacement& replacement,
                                 ActivationMode mode) const {
  LayerWeights weights;
  weights.attention_input = norm(spec.attention_input);
  weights.attention_output = norm(spec.attention_output);
  weights.residual_norm = norm(spec.residual_norm);
  weights.feed_forward_input = norm(spec.feed_forward_input);
  weights.feed_forward_output = norm(spec.feed_forward_output);
  weights.final_residual_norm = norm(spec.final_residual_norm);
  for (const LinearSpec& in : spec.attention.qkv)
    weights.attention.qkv.push_back(linear(in, replacement, mode));
  weights.attention.out = linear(spec.attention.out, replacement, mode);
  weights.attention.q_norm = norm(spec.attention.q_norm);
  weights.attention.k_norm = norm(spec.attention.k_norm);
  weights.feed_forward = feed_forward(spec.feed_forward, replacement, mode);
  if (spec.moe) weights.moe = moe(*spec.moe, replacement, mode);
  return weights;
}

}  // namespace twofold
