#include "runtime/model.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "kernels/ops.h"

namespace twofold {

void KvCache::reserve(const ModelSpec& spec, std::int64_t positions) {
  for (LayerCache& layer : layers) {
    for (auto* cache : {&layer.keys, &layer.values}) {
      cache->resize(static_cast<std::size_t>(spec.kv_heads));
      for (AlignedVector<float>& head : *cache)
        head.reserve(static_cast<std::size_t>(positions * spec.head_dim));
    }
  }
}

Model::Model(const std::filesystem::path& directory, const Options& options)
    : spec_(load_model_spec(directory)),
      options_(options),
      workspace_(options.threads, options.cpus),
      rope_(spec_.head_dim, spec_.rope_theta) {
  if (Container::is_container(directory)) {
    container_ = std::make_unique<Container>(directory);
    const std::string where = (directory / "config.json").string() + ": quantization_config";
    activations_ = parse_activation_mode(json_string(container_->recipe(), "activations", where));
  } else {
    const Json config = read_json_file(directory / "config.json");
    const auto it = config.find("quantization_config");
    if (it != config.end() && !it->is_null()) {
      fail("{}: \"quantization_config\": weights quantized by another method cannot be read",
           (directory / "config.json").string());
    }
    checkpoint_ = std::make_unique<Checkpoint>(directory);
  }
  resolve_tied_embeddings(spec_, [this](const std::string& name) {
    return checkpoint().contains(name) || (container_ && container_->coded().contains(name));
  });
  const CodedTensor* coded = find_coded(spec_.embedding, spec_.vocab_size, spec_.hidden_size);
  embedding_ =
      coded != nullptr
          ? make_coded_embedding(*coded)
          : make_dense_embedding(float_weight(spec_.embedding, {spec_.vocab_size, spec_.hidden_size}));
  for (std::size_t i = 0; i < spec_.layers.size(); ++i) layers_.push_back(load_layer(i));
  final_norm_ = load_vector(spec_.final_norm, spec_.hidden_size);
  head_ = load_linear(spec_.head);
}

const Checkpoint& Model::checkpoint() const {
  return container_ ? container_->checkpoint() : *checkpoint_;
}

const CodedTensor* Model::find_coded(const std::string& name, std::int64_t rows, std::int64_t cols) const {
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

const TensorView& Model::float_weight(const std::string& name, const std::vector<std::int64_t>& shape) const {
  const TensorView& tensor = checkpoint().at(name, shape);
  if (!is_float_weight(tensor.dtype)) {
    fail("{}: {}: expected F32, F16 or BF16, found {}", tensor.file, name, dtype_name(tensor.dtype));
  }
  return tensor;
}

std::vector<float> Model::load_vector(const std::string& name, std::int64_t size) const {
  const TensorView& tensor = float_weight(name, {size});
  std::vector<float> values(static_cast<std::size_t>(size));
  to_float(tensor.dtype, tensor.bytes, values);
  return values;
}

std::unique_ptr<Linear> Model::load_linear(const LinearSpec& linear, const Replacement& replacement,
                                           ActivationMode mode) const {
  std::vector<float> bias;
  if (linear.bias) bias = load_vector(linear.name + ".bias", linear.rows);
  if (const CodedTensor* coded = replacement ? replacement(linear) : nullptr) {
    return make_coded_linear(*coded, mode, std::move(bias));
  }
  if (const CodedTensor* coded = find_coded(linear.weight(), linear.rows, linear.cols)) {
    return make_coded_linear(*coded, activations_, std::move(bias));
  }
  return make_dense_linear(float_weight(linear.weight(), {linear.rows, linear.cols}), std::move(bias));
}

LayerWeights Model::load_layer(std::size_t index, const Replacement& replacement, ActivationMode mode) const {
  const LayerSpec& layer = spec_.layers[index];
  LayerWeights weights;
  weights.input_norm = load_vector(layer.input_norm, spec_.hidden_size);
  weights.post_attention_norm = load_vector(layer.post_attention_norm, spec_.hidden_size);
  weights.q = load_linear(layer.q, replacement, mode);
  weights.k = load_linear(layer.k, replacement, mode);
  weights.v = load_linear(layer.v, replacement, mode);
  weights.o = load_linear(layer.o, replacement, mode);
  weights.gate = load_linear(layer.gate, replacement, mode);
  weights.up = load_linear(layer.up, replacement, mode);
  weights.down = load_linear(layer.down, replacement, mode);
  return weights;
}

void Model::release_layer(std::size_t layer) const {
  for (const LinearSpec* linear : spec_.layers[layer].linears()) {
    if (checkpoint().contains(linear->weight())) checkpoint().release(checkpoint().at(linear->weight()));
  }
}

const RopeTable& Model::rope(std::int64_t positions) {
  rope_.reserve(positions);
  return rope_;
}

void Model::embed(std::span<const std::int32_t> tokens, float* hidden) {
  for (const std::int32_t token : tokens) {
    if (token < 0 || token >= spec_.vocab_size) {
      fail("{}: token id {} is outside the model's vocabulary of {}", checkpoint().directory().string(),
           token, spec_.vocab_size);
    }
  }
  embedding_->lookup(tokens, hidden, workspace_);
}

void Model::head(float* hidden, std::int64_t rows, float* logits, const Linear* replacement) {
  const auto width = static_cast<std::size_t>(spec_.hidden_size);
  for (std::size_t r = 0; r < static_cast<std::size_t>(rows); ++r) {
    ops().rms_norm(hidden + r * width, final_norm_.data(), spec_.norm_eps, width, hidden + r * width);
  }
  multiply_group(std::array{replacement != nullptr ? replacement : head_.get()}, hidden, rows,
                 std::array{logits}, workspace_);
}

AlignedVector<float> Model::hidden_states(std::span<const Sequence> batch) {
  const auto width = static_cast<std::size_t>(spec_.hidden_size);
  std::vector<std::int32_t> tokens;
  std::vector<LayerSlice> slices;
  std::int64_t longest = 0;
  for (const Sequence& sequence : batch) {
    const auto count = static_cast<std::int64_t>(sequence.tokens.size());
    const std::int64_t end = sequence.cache->length + count;
    if (end > spec_.max_positions) {
      fail("{}: a text of {} tokens does not fit the model's context of {}",
           checkpoint().directory().string(), end, spec_.max_positions);
    }
    tokens.insert(tokens.end(), sequence.tokens.begin(), sequence.tokens.end());
    slices.push_back({nullptr, sequence.cache->length, count});
    longest = std::max(longest, end);
  }
  AlignedVector<float> hidden(tokens.size() * width);
  embed(tokens, hidden.data());
  rope(longest);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    for (std::size_t s = 0; s < batch.size(); ++s) slices[s].cache = &batch[s].cache->layers[i];
    run_layer(spec_, spec_.layers[i], layers_[i], slices, rope_, hidden.data(), workspace_);
    if (options_.release_pages) release_layer(i);
  }
  for (const Sequence& sequence : batch)
    sequence.cache->length += static_cast<std::int64_t>(sequence.tokens.size());

  return hidden;
}

std::vector<float> Model::forward(std::span<const Sequence> batch, Logits wanted) {
  const auto width = static_cast<std::size_t>(spec_.hidden_size);
  AlignedVector<float> hidden = hidden_states(batch);
  std::size_t rows = hidden.size() / width;
  if (wanted == Logits::kLast) {
    rows = 0;
    std::size_t end = 0;
    for (const Sequence& sequence : batch) {
      end += sequence.tokens.size();
      if (sequence.tokens.empty()) fail("Model::forward: a sequence without tokens has no last logits");
      std::memmove(&hidden[rows * width], &hidden[(end - 1) * width], width * sizeof(float));
      ++rows;
    }
  }
  std::vector<float> logits(rows * static_cast<std::size_t>(spec_.vocab_size));
  head(hidden.data(), static_cast<std::int64_t>(rows), logits.data());
  return logits;
}

}  // namespace twofold
