#include "runtime/gpu_model.h"

#include <algorithm>

#include "base/error.h"
#include "base/interrupt.h"
#include "runtime/positions.h"

namespace twofold {

namespace {

using Size = std::size_t;

/// What the GPU's kernels do not compute of a layer, or nullptr.
const char* not_computed(const LayerSpec& layer) {
  const AttentionSpec& attention = layer.attention;
  const auto is_rms = [](const NormSpec& norm) { return norm.kind == NormSpec::Kind::kRms && !norm.bias; };
  if (layer.moe) return "a mixture of experts";
  if (layer.parallel) return "layers whose attention and feed-forward are parallel";
  if (!layer.attention_input.present() || !layer.feed_forward_input.present())
    return "a layer without a norm before attention or feed-forward";
  for (const NormSpec* norm : {&layer.attention_output, &layer.residual_norm, &layer.feed_forward_output,
                               &layer.final_residual_norm}) {
    if (norm->present()) return "norms of what attention and feed-forward give";
  }
  for (const NormSpec* norm :
       {&layer.attention_input, &layer.feed_forward_input, &attention.q_norm, &attention.k_norm}) {
    if (norm->present() && !is_rms(*norm)) return "LayerNorm";
  }
  if (attention.layout != AttentionSpec::Layout::kBlocks) return "queries, keys and values side by side";
  if (attention.soft_cap > 0) return "a soft cap of attention";
  if (!layer.feed_forward.gated || layer.feed_forward.activation != Activation::kSilu)
    return "a feed-forward that is not gated by SiLU";
  for (const LinearSpec* linear : layer.linears()) {
    if (linear->transposed) return "transposed weights";
  }
  return nullptr;
}

const char* not_computed(const ModelSpec& spec, const WeightLoader& weights) {
  if (weights.activations() == ActivationMode::kNone) return "float activations (\"activations\": \"none\")";
  if (spec.alibi) return "attention with linear biases";
  if (!spec.positions.name.empty()) return "learned positions";
  if (spec.project_in.present() || spec.project_out.present()) return "projected embeddings";
  if (spec.logit_soft_cap > 0) return "a soft cap of logits";
  if (spec.head_dim % 2 != 0 || spec.head_dim > device::kStepHeadDim) return "heads of this size";
  if (spec.final_norm.kind != NormSpec::Kind::kRms || spec.final_norm.bias) return "LayerNorm";
  for (const RopeSpec& rope : spec.ropes) {
    if (rope.depends_on_length()) return "a rotary embedding that depends on the text's length";
  }
  for (const LayerSpec& layer : spec.layers) {
    if (const char* what = not_computed(layer)) return what;
  }
  return nullptr;
}

device::StepFloat float_type(const TensorView& tensor) {
  switch (tensor.paired_rows != 0 || tensor.offset != 0 ? DType::kU8 : tensor.dtype) {
    case DType::kF32:
      return device::StepFloat::kF32;
    case DType::kF16:
      return device::StepFloat::kF16;
    case DType::kBF16:
      return device::StepFloat::kBF16;
    default:
      fail("{}: {}: the GPU's kernels compute with F32, F16 and BF16 beside coded weights, found {}",
           tensor.file, tensor.name, dtype_name(tensor.dtype));
  }
}

GpuLinearSource linear_source(const WeightLoader& weights, const LinearSpec& spec) {
  GpuLinearSource source;
  source.name = spec.name;
  source.rows = spec.rows;
  source.cols = spec.cols;
  if (spec.bias) source.bias = weights.vector(spec.name + ".bias", spec.rows);
  const CodedTensor* coded = weights.find_coded(spec.weight(), spec.rows, spec.cols);
  if (coded == nullptr) {
    const TensorView& tensor = weights.float_weight(spec.weight(), {spec.rows, spec.cols});
    source.type = float_type(tensor);
    source.floats = tensor.bytes;
    return source;
  }
  source.name = coded->file + ": " + coded->name;
  source.decoder = coded->decoder.get();
  source.rows_per_chunk = coded->rows_per_chunk;
  source.scale = coded->scale;
  source.input_scale = coded->input_scale;
  if (weights.activations() == ActivationMode::kPerTensorStatic)
    source.activation_step = coded->activation_step;
  for (std::int64_t chunk = 0; chunk < coded->chunks(); ++chunk) {
    coded->verify_chunk(chunk);  // once, for it is read only once
    source.chunks.push_back(coded->chunk_bytes(chunk));
  }
  return source;
}

GpuNormSource norm_source(const WeightLoader& weights, const NormSpec& spec) {
  return {weights.norm(spec).weight, spec.eps};
}

GpuLayerSource layer_source(const WeightLoader& weights, const LayerSpec& spec) {
  GpuLayerSource source;
  source.attention_norm = norm_source(weights, spec.attention_input);
  source.feed_forward_norm = norm_source(weights, spec.feed_forward_input);
  for (const LinearSpec& linear : spec.attention.qkv) source.qkv.push_back(linear_source(weights, linear));
  source.q_norm = norm_source(weights, spec.attention.q_norm);
  source.k_norm = norm_source(weights, spec.attention.k_norm);
  source.rotation = spec.attention.rope;
  source.scale = spec.attention.scale;
  source.window = spec.attention.window;
  source.out = linear_source(weights, spec.attention.out);
  for (const LinearSpec& linear : spec.feed_forward.in)
    source.gate_up.push_back(linear_source(weights, linear));
  source.down = linear_source(weights, spec.feed_forward.down);
  return source;
}

}  // namespace

GpuModel::GpuModel(const std::filesystem::path& directory, const Options& options)
    : spec_(load_model_spec(directory)), weights_(directory), workspace_(1) {
  const std::string where = directory.string();
  if (weights_.container() == nullptr) {
    fail("{}: the GPU computes Twofold directories, which `compress` makes; this is an original model",
         where);
  }
  if (const char* what = not_computed(spec_, weights_))
    fail("{}: the GPU computes models as those of the Llama family; this one has {}", where, what);
  resolve_names(spec_, [this](const std::string& name) { return weights_.contains(name); });
  embedding_ = weights_.embedding(spec_.embedding, spec_.vocab_size, spec_.embedding_size);
  if (options.context > 0) spec_.max_positions = std::min(spec_.max_positions, options.context);

  block_tokens_ = std::min(options.block_tokens, spec_.max_positions);
  gpu_ = options.make({.hidden = spec_.hidden_size,
                       .heads = spec_.heads,
                       .kv_heads = spec_.kv_heads,
                       .head_dim = spec_.head_dim,
                       .vocab = spec_.vocab_size,
                       .context = spec_.max_positions,
                       .block_tokens = block_tokens_,
                       .half_cache = options.half_cache});
  for (const RopeSpec& rope : spec_.ropes) {
    RopeTable table(rope.frequencies(0), rope.magnitude);
    table.reserve(spec_.max_positions);
    const Size size = static_cast<Size>(spec_.max_positions) * table.half();
    gpu_->add_rotation({table.cosines(0), size}, {table.sines(0), size});
  }
  for (const LayerSpec& layer : spec_.layers) gpu_->add_layer(layer_source(weights_, layer));
  gpu_->set_head(norm_source(weights_, spec_.final_norm), linear_source(weights_, spec_.head));
}

std::vector<float> GpuModel::forward(std::span<const std::int32_t> tokens) {
  const std::string where = weights_.checkpoint().directory().string();
  if (tokens.empty()) fail("GpuModel::forward: no tokens");
  for (const std::int32_t token : tokens) {
    if (token < 0 || token >= spec_.vocab_size)
      fail("{}: token id {} is outside the model's vocabulary of {}", where, token, spec_.vocab_size);
  }
  if (static_cast<std::int64_t>(tokens.size()) > spec_.max_positions - length_) {
    fail("{}: a text of {} tokens does not fit the model's context of {}", where,
         length_ + static_cast<std::int64_t>(tokens.size()), spec_.max_positions);
  }
  std::vector<float> logits(static_cast<Size>(spec_.vocab_size));
  std::vector<float> hidden;
  while (!tokens.empty()) {
    const auto block = tokens.first(std::min(tokens.size(), static_cast<Size>(block_tokens_)));
    tokens = tokens.subspan(block.size());
    hidden.resize(block.size() * static_cast<Size>(spec_.hidden_size));
    embedding_->lookup(block, hidden.data(), workspace_);
    if (spec_.embedding_scale != 1) {
      for (float& value : hidden) value *= spec_.embedding_scale;
    }
    gpu_->forward(hidden, length_, tokens.empty() ? std::span(logits) : std::span<float>());
    length_ += static_cast<std::int64_t>(block.size());
    if (!tokens.empty()) check_interrupt();
  }
  return logits;
}

}  // namespace twofold
