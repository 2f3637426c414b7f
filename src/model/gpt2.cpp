// GPT-2: LayerNorm, biases, learned positions, one linear for queries, keys and values; weights stored
// transposed.

#include <fmt/core.h>

#include <cmath>

#include "model/config_fields.h"
#include "model/registry.h"

namespace twofold {

ModelSpec parse_gpt2(ConfigReader& config) {
  ModelSpec spec;
  spec.prefix = "transformer.";
  spec.hidden_size = config.integer("n_embd", 1, kMaxDimension);
  const std::int64_t hidden = spec.hidden_size;
  const std::int64_t inner = config.integer("n_inner", 1, kMaxDimension, 4 * hidden);
  read_heads(config, spec, "n_head", nullptr, false);
  spec.vocab_size = config.integer("vocab_size", 1, kMaxDimension);
  spec.max_positions = config.integer("n_positions", 1, kMaxDimension, 1024);
  spec.tied_embeddings = config.flag("tie_word_embeddings", true);
  const Activation activation = read_activation(config, "activation_function", "gelu_new");
  const bool scaled = config.flag("scale_attn_weights", true);
  const bool scaled_by_layer = config.flag("scale_attn_by_inverse_layer_idx", false);
  const auto eps = static_cast<float>(config.number("layer_norm_epsilon", 0.0, 1.0, 1e-5));
  config.require("add_cross_attention", false);
  config.harmless({"n_ctx", "reorder_and_upcast_attn"});  // the old name of n_positions; order of operations

  const auto norm = [&](const std::string& name) {
    NormSpec result;
    result.kind = NormSpec::Kind::kLayer;
    result.name = name;
    result.size = hidden;
    result.eps = eps;
    result.bias = true;
    return result;
  };
  const std::int64_t layers = config.integer("n_layer", 1, kMaxLayers);
  for (std::int64_t i = 0; i < layers; ++i) {
    const std::string prefix = fmt::format("transformer.h.{}.", i);
    LayerSpec layer;
    layer.attention_input = norm(prefix + "ln_1");
    layer.feed_forward_input = norm(prefix + "ln_2");
    AttentionSpec& attention = layer.attention;
    attention.qkv = {{prefix + "attn.c_attn", 3 * hidden, hidden, true, true}};
    attention.out = {prefix + "attn.c_proj", hidden, hidden, true, true};
    attention.scale = scaled ? 1.0F / std::sqrt(static_cast<float>(spec.head_dim)) : 1.0F;
    if (scaled_by_layer) attention.scale /= static_cast<float>(i + 1);
    layer.feed_forward.in = {{prefix + "mlp.c_fc", inner, hidden, true, true}};
    layer.feed_forward.down = {prefix + "mlp.c_proj", hidden, inner, true, true};
    layer.feed_forward.activation = activation;
    spec.layers.push_back(std::move(layer));
  }
  spec.embedding = "transformer.wte.weight";
  spec.embedding_size = hidden;
  spec.positions = {"transformer.wpe.weight", spec.max_positions, 0};
  spec.final_norm = norm("transformer.ln_f");
  spec.head = {spec.tied_embeddings ? "transformer.wte" : "lm_head", spec.vocab_size, hidden};
  return spec;
}

}  // namespace twofold
