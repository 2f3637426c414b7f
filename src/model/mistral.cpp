// Mistral: a Llama with a window of attention; Mixtral: the same with experts.

#include "model/llama_family.h"
#include "model/registry.h"

namespace twofold {

namespace {

/// Missing and null are not the same here: the fallback is for missing.
void read_window(ConfigReader& config, ModelSpec& spec, std::int64_t missing) {
  const std::int64_t window =
      config.contains("sliding_window") ? config.integer("sliding_window", 1, kMaxDimension, 0) : missing;
  for (LayerSpec& layer : spec.layers) layer.attention.window = window;
}

}  // namespace

ModelSpec parse_mistral(ConfigReader& config) {
  LlamaFamily family;
  family.positions = 131072;
  ModelSpec spec = parse_llama_family(config, family);
  read_window(config, spec, 4096);
  return spec;
}

ModelSpec parse_mixtral(ConfigReader& config) {
  LlamaFamily family;
  family.theta = 1e6;
  family.norm_eps = 1e-5;
  family.positions = 131072;
  ModelSpec spec = parse_llama_family(config, family);
  read_window(config, spec, 0);
  const std::int64_t experts = config.integer("num_local_experts", 1, kMaxExperts, 8);
  const std::int64_t top_k = config.integer("num_experts_per_tok", 1, experts, 2);
  for (std::size_t i = 0; i < spec.layers.size(); ++i) {
    const std::string prefix = llama_layer_prefix(i) + "block_sparse_moe.";
    const FeedForwardSpec dense = spec.layers[i].feed_forward;
    MoeSpec moe;
    moe.router = {prefix + "gate", experts, spec.hidden_size};
    moe.top_k = top_k;
    moe.normalize = true;
    for (std::int64_t e = 0; e < experts; ++e) {
      const std::string name = prefix + "experts." + std::to_string(e);
      moe.experts.push_back(gated_feed_forward(name + ".w1", name + ".w3", name + ".w2", spec.hidden_size,
                                               dense.inner(), false, dense.activation));
    }
    spec.layers[i].feed_forward = {};
    spec.layers[i].moe = std::make_shared<const MoeSpec>(std::move(moe));
  }
  return spec;
}

}  // namespace twofold
