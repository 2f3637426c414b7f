// Qwen2 and 2.5: biases of q, k, v. Qwen3: norms of queries and keys instead. Both also as mixtures of
// experts.

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/llama_family.h"
#include "model/registry.h"

namespace twofold {

namespace {

LlamaFamily qwen2_family() {
  LlamaFamily family;
  family.positions = 32768;
  family.qkv_bias = true;
  return family;
}

LlamaFamily qwen3_family(ConfigReader& config, std::int64_t head_dim) {
  LlamaFamily family;
  family.positions = 32768;
  family.head_dim = head_dim;
  const bool bias = config.flag("attention_bias", false);
  family.qkv_bias = bias;
  family.out_bias = bias;
  return family;
}

/// The layers whose feed-forward is not a mixture.
std::vector<bool> dense_layers(ConfigReader& config, std::size_t layers, std::int64_t experts) {
  const std::int64_t step = config.integer("decoder_sparse_step", 1, kMaxLayers, 1);
  std::vector<bool> dense(layers);
  for (std::size_t i = 0; i < layers; ++i)
    dense[i] = experts == 0 || (i + 1) % static_cast<std::size_t>(step) != 0;
  if (const Json* only = config.find("mlp_only_layers")) {
    if (!only->is_array()) fail("{}: \"mlp_only_layers\": expected a list of layers", config.where());
    for (const Json& layer : *only) {
      const bool fits = layer.is_number_integer() && layer.get<std::int64_t>() >= 0;
      if (!fits) fail("{}: \"mlp_only_layers\": expected a list of layers", config.where());
      if (layer.get<std::size_t>() < layers) dense[layer.get<std::size_t>()] = true;
    }
  }
  return dense;
}

void add_experts(ConfigReader& config, ModelSpec& spec, std::int64_t default_experts,
                 std::int64_t default_top_k, std::int64_t default_inner, std::int64_t shared_inner) {
  const std::int64_t experts = config.integer("num_experts", 0, kMaxExperts, default_experts);
  const std::int64_t top_k =
      config.integer("num_experts_per_tok", 1, std::max<std::int64_t>(experts, 1), default_top_k);
  const std::int64_t inner = config.integer("moe_intermediate_size", 1, kMaxDimension, default_inner);
  const bool normalize = config.flag("norm_topk_prob", false);
  const std::vector<bool> dense = dense_layers(config, spec.layers.size(), experts);
  const std::int64_t hidden = spec.hidden_size;
  for (std::size_t i = 0; i < spec.layers.size(); ++i) {
    if (dense[i]) continue;
    const std::string prefix = llama_layer_prefix(i) + "mlp.";
    const Activation activation = spec.layers[i].feed_forward.activation;
    const auto gated = [&](const std::string& name, std::int64_t size) {
      return gated_feed_forward(name + ".gate_proj", name + ".up_proj", name + ".down_proj", hidden, size,
                                false, activation);
    };
    MoeSpec moe;
    moe.router = {prefix + "gate", experts, hidden};
    moe.top_k = top_k;
    moe.normalize = normalize;
    for (std::int64_t e = 0; e < experts; ++e)
      moe.experts.push_back(gated(prefix + "experts." + std::to_string(e), inner));
    if (shared_inner > 0) {
      moe.shared = gated(prefix + "shared_expert", shared_inner);
      moe.shared_gate = {prefix + "shared_expert_gate", 1, hidden};
    }
    spec.layers[i].feed_forward = {};
    spec.layers[i].moe = std::make_shared<const MoeSpec>(std::move(moe));
  }
}

}  // namespace

ModelSpec parse_qwen2(ConfigReader& config) {
  ModelSpec spec = parse_llama_family(config, qwen2_family());
  read_qwen_windows(config, spec);
  return spec;
}

ModelSpec parse_qwen3(ConfigReader& config) {
  ModelSpec spec = parse_llama_family(config, qwen3_family(config, 128));
  read_qwen_windows(config, spec);
  add_qk_norm(spec);
  return spec;
}

ModelSpec parse_qwen2_moe(ConfigReader& config) {
  LlamaFamily family = qwen2_family();
  family.qkv_bias = config.flag("qkv_bias", true);
  ModelSpec spec = parse_llama_family(config, family);
  config.require("use_sliding_window", false);
  config.harmless({"sliding_window", "max_window_layers", "layer_types"});
  add_experts(config, spec, 60, 4, 1408,
              config.integer("shared_expert_intermediate_size", 1, kMaxDimension, 5632));
  return spec;
}

ModelSpec parse_qwen3_moe(ConfigReader& config) {
  ModelSpec spec = parse_llama_family(config, qwen3_family(config, 0));
  add_qk_norm(spec);
  config.require("use_sliding_window", false);
  config.harmless({"sliding_window", "max_window_layers", "layer_types"});
  add_experts(config, spec, 128, 8, 768, 0);
  return spec;
}

}  // namespace twofold
