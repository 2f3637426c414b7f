// Falcon: 7B (one key head, attention and feed-forward side by side behind one norm), 40B ("new decoder
// architecture": groups of key heads, a norm for each half), the RefinedWeb 1B and 7B (linear biases instead
// of rotation, one half after the other).

#include <fmt/core.h>

#include <cmath>

#include "base/error.h"
#include "model/config_fields.h"
#include "model/registry.h"

namespace twofold {

ModelSpec parse_falcon(ConfigReader& config) {
  ModelSpec spec;
  spec.prefix = "transformer.";
  spec.hidden_size = config.integer("hidden_size", 1, kMaxDimension);
  const std::int64_t hidden = spec.hidden_size;
  const std::int64_t inner = config.integer("ffn_hidden_size", 1, kMaxDimension, 4 * hidden);
  const bool new_architecture = config.flag("new_decoder_architecture", false);
  const bool multi_query = config.flag("multi_query", true) && !new_architecture;
  const bool parallel = config.flag("parallel_attn", true);
  // With one key head for all, as in 7B, "num_kv_heads" does not count.
  config.harmless({"num_kv_heads"});
  read_heads(config, spec, "num_attention_heads", multi_query ? nullptr : "num_kv_heads", false);
  if (multi_query) spec.kv_heads = 1;
  if (!new_architecture && !multi_query && spec.kv_heads != spec.heads) {
    fail("{}: \"num_kv_heads\": expected {}, as many as heads, found {}", config.where(), spec.heads,
         spec.kv_heads);
  }
  const bool both = parallel || new_architecture;  // halves side by side
  const std::int64_t norms = config.integer("num_ln_in_parallel_attn", 1, 2, new_architecture ? 2 : 1);
  if (new_architecture && !parallel && norms == 1)
    fail("{}: \"parallel_attn\": expected true, found false", config.where());
  spec.vocab_size = config.integer("vocab_size", 1, kMaxDimension);
  spec.max_positions = config.integer("max_position_embeddings", 1, kMaxDimension, 2048);
  spec.tied_embeddings = config.flag("tie_word_embeddings", true);
  spec.alibi = config.flag("alibi", false);
  if (!spec.alibi) spec.ropes = {read_rope(config, spec)};
  config.harmless({"rope_theta", "rope_scaling", "rope_parameters"});  // with linear biases
  const Activation activation = read_activation(config, "activation", "gelu");
  const bool bias = config.flag("bias", false);
  const auto eps = static_cast<float>(config.number("layer_norm_epsilon", 0.0, 1.0, 1e-5));

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
    const std::string prefix = fmt::format("transformer.h.{}.", i);
    LayerSpec layer;
    layer.parallel = both;
    if (new_architecture && norms == 2) {
      layer.attention_input = norm(prefix + "ln_attn");
      layer.feed_forward_input = norm(prefix + "ln_mlp");
    } else {
      layer.attention_input = norm(prefix + "input_layernorm");
      if (!both) layer.feed_forward_input = norm(prefix + "post_attention_layernorm");
    }
    AttentionSpec& attention = layer.attention;
    attention.layout = AttentionSpec::Layout::kGroups;
    attention.qkv = {
        {prefix + "self_attention.query_key_value", spec.q_size() + 2 * spec.kv_size(), hidden, bias}};
    attention.out = {prefix + "self_attention.dense", hidden, hidden, bias};
    if (!spec.alibi) attention.rope = 0;
    attention.scale = 1.0F / std::sqrt(static_cast<float>(spec.head_dim));
    layer.feed_forward.in = {{prefix + "mlp.dense_h_to_4h", inner, hidden, bias}};
    layer.feed_forward.down = {prefix + "mlp.dense_4h_to_h", hidden, inner, bias};
    layer.feed_forward.activation = activation;
    spec.layers.push_back(std::move(layer));
  }
  spec.embedding = "transformer.word_embeddings.weight";
  spec.embedding_size = hidden;
  spec.final_norm = norm("transformer.ln_f");
  spec.head = {spec.tied_embeddings ? "transformer.word_embeddings" : "lm_head", spec.vocab_size, hidden};
  return spec;
}

}  // namespace twofold
