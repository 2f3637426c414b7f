// Phi-3, 3.5 and 4: a Llama whose q, k, v and whose gate and up are one linear each.

#include "model/llama_family.h"
#include "model/registry.h"

namespace twofold {

ModelSpec parse_phi3(ConfigReader& config) {
  LlamaFamily family;
  family.norm_eps = 1e-5;
  family.positions = 4096;
  config.require("attention_bias", false);
  ModelSpec spec = parse_llama_family(config, family);
  const std::int64_t window = config.integer("sliding_window", 1, kMaxDimension, 0);
  for (std::size_t i = 0; i < spec.layers.size(); ++i) {
    LayerSpec& layer = spec.layers[i];
    const std::string prefix = llama_layer_prefix(i);
    layer.attention.qkv = {
        {prefix + "self_attn.qkv_proj", spec.q_size() + 2 * spec.kv_size(), spec.hidden_size}};
    layer.attention.window = window;
    FeedForwardSpec& mlp = layer.feed_forward;
    mlp.in = {{prefix + "mlp.gate_up_proj", 2 * mlp.inner(), spec.hidden_size}};
  }
  return spec;
}

}  // namespace twofold
