// GPT-NeoX and Pythia: LayerNorm, biases, a share of each head's channels rotated, attention and feed-forward
// side by side, one linear for queries, keys and values, head by head.

#include <fmt/core.h>

#include <cmath>

#include "model/config_fields.h"
#include "model/registry.h"

namespace twofold {

ModelSpec parse_gpt_neox(ConfigReader& config) {
  ModelSpec spec;
  spec.prefix = "gpt_neox.";
  spec.untied_head = "embed_out";
  spec.hidden_size = config.integer("hidden_size", 1, kMaxDimension);
  const std::int64_t hidden = spec.hidden_size;
  const std::int64_t inner = config.integer("intermediate_size", 1, kMaxDimension);
  read_heads(config, spec, "num_attention_heads", nullptr, false);
  spec.vocab_size = config.integer("vocab_size", 1, kMaxDimension);
  spec.max_positions = config.integer("max_position_embeddings", 1, kMaxDimension, 2048);
  spec.tied_embeddings = config.flag("tie_word_embeddings", false);
  spec.ropes = {read_rope(config, spec, config.number("rotary_emb_base", 1.0, 1e12, 10000.0),
                          config.number("rotary_pct", 0.0, 1.0, 0.25))};
  const Activation activation = read_activation(config, "hidden_act", "gelu");
  const bool parallel = config.flag("use_parallel_residual", true);
  const bool attention_bias = config.flag("attention_bias", true);
  const auto eps = static_cast<float>(config.number("layer_norm_eps", 0.0, 1.0, 1e-5));

  const auto norm = [&](const std::string& name) {
    NormSpec result;
    result.kind = NormSpec::Kind::kLayer;
    result.name = name;
    result.size = hidden;
    result.eps = eps;
    result.bias = true;
    return result;
  };
  const std::int64_t layers = config.integer("num_hidden_layers", 1, kMaxLayers);
  for (std::int64_t i = 0; i < layers; ++i) {
    const std::string prefix = fmt::format("gpt_neox.layers.{}.", i);
    LayerSpec layer;
    layer.parallel = parallel;
    layer.attention_input = norm(prefix + "input_layernorm");
    layer.feed_forward_input = norm(prefix + "post_attention_layernorm");
    AttentionSpec& attention = layer.attention;
    attention.layout = AttentionSpec::Layout::kGroups;
    attention.qkv = {{prefix + "attention.query_key_value", 3 * hidden, hidden, attention_bias}};
    attention.out = {prefix + "attention.dense", hidden, hidden, attention_bias};
    attention.rope = 0;
    attention.scale = 1.0F / std::sqrt(static_cast<float>(spec.head_dim));
    layer.feed_forward.in = {{prefix + "mlp.dense_h_to_4h", inner, hidden, true}};
    layer.feed_forward.down = {prefix + "mlp.dense_4h_to_h", hidden, inner, true};
    layer.feed_forward.activation = activation;
    spec.layers.push_back(std::move(layer));
  }
  spec.embedding = "gpt_neox.embed_in.weight";
  spec.embedding_size = hidden;
  spec.final_norm = norm("gpt_neox.final_layer_norm");
  spec.head = {spec.tied_embeddings ? "gpt_neox.embed_in" : "embed_out", spec.vocab_size, hidden};
  return spec;
}

}  // namespace twofold
