// OPT: LayerNorm, biases, ReLU, learned positions that begin at row 2. OPT-350M norms after the residual sums
// instead of before them, and its embeddings are narrower than its layers.

#include <fmt/core.h>

#include <cmath>

#include "model/config_fields.h"
#include "model/registry.h"

namespace twofold {

ModelSpec parse_opt(ConfigReader& config) {
  ModelSpec spec;
  spec.prefix = "model.";
  spec.hidden_size = config.integer("hidden_size", 1, kMaxDimension);
  const std::int64_t inner = config.integer("ffn_dim", 1, kMaxDimension);
  read_heads(config, spec, "num_attention_heads", nullptr, false);
  spec.vocab_size = config.integer("vocab_size", 1, kMaxDimension);
  spec.max_positions = config.integer("max_position_embeddings", 1, kMaxDimension, 2048);
  spec.tied_embeddings = config.flag("tie_word_embeddings", true);
  spec.embedding_size = config.integer("word_embed_proj_dim", 1, kMaxDimension, spec.hidden_size);
  const Activation activation = read_activation(config, "activation_function", "relu");
  const bool before = config.flag("do_layer_norm_before", true);
  const bool bias = config.flag("enable_bias", true);
  const bool affine = config.flag("layer_norm_elementwise_affine", true);
  const bool no_final_norm = config.flag("_remove_final_layer_norm", false);

  const auto norm = [&](const std::string& name) {
    NormSpec result;
    result.kind = NormSpec::Kind::kLayer;
    result.name = name;
    result.size = spec.hidden_size;
    result.eps = 1e-5F;
    result.weight = affine;
    result.bias = affine;
    return result;
  };
  const std::int64_t hidden = spec.hidden_size;
  const std::int64_t layers = config.integer("num_hidden_layers", 1, kMaxLayers);
  for (std::int64_t i = 0; i < layers; ++i) {
    const std::string prefix = fmt::format("model.decoder.layers.{}.", i);
    LayerSpec layer;
    (before ? layer.attention_input : layer.residual_norm) = norm(prefix + "self_attn_layer_norm");
    (before ? layer.feed_forward_input : layer.final_residual_norm) = norm(prefix + "final_layer_norm");
    AttentionSpec& attention = layer.attention;
    for (const char* name : {"q_proj", "k_proj", "v_proj"})
      attention.qkv.push_back({prefix + "self_attn." + name, hidden, hidden, bias});
    attention.out = {prefix + "self_attn.out_proj", hidden, hidden, bias};
    attention.scale = 1.0F / std::sqrt(static_cast<float>(spec.head_dim));
    layer.feed_forward.in = {{prefix + "fc1", inner, hidden, bias}};
    layer.feed_forward.down = {prefix + "fc2", hidden, inner, bias};
    layer.feed_forward.activation = activation;
    spec.layers.push_back(std::move(layer));
  }
  spec.embedding = "model.decoder.embed_tokens.weight";
  spec.positions = {"model.decoder.embed_positions.weight", spec.max_positions + 2, 2};
  if (spec.embedding_size != hidden) {
    spec.project_in = {"model.decoder.project_in", hidden, spec.embedding_size};
    spec.project_out = {"model.decoder.project_out", spec.embedding_size, hidden};
  }
  if (before && !no_final_norm) spec.final_norm = norm("model.decoder.final_layer_norm");
  spec.head = {spec.tied_embeddings ? "model.decoder.embed_tokens" : "lm_head", spec.vocab_size,
               spec.embedding_size};
  return spec;
}

}  // namespace twofold
