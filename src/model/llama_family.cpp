#include "model/llama_family.h"

#include <fmt/core.h>

#include <cmath>

namespace twofold {

std::string llama_layer_prefix(std::size_t layer) {
  return fmt::format("model.layers.{}.", layer);
}

FeedForwardSpec gated_feed_forward(const std::string& gate, const std::string& up, const std::string& down,
                                   std::int64_t hidden, std::int64_t inner, bool bias,
                                   Activation activation) {
  FeedForwardSpec spec;
  spec.in = {{gate, inner, hidden, bias}, {up, inner, hidden, bias}};
  spec.down = {down, hidden, inner, bias};
  spec.activation = activation;
  spec.gated = true;
  return spec;
}

ModelSpec parse_llama_family(ConfigReader& config, const LlamaFamily& family) {
  ModelSpec spec;
  spec.prefix = "model.";
  spec.hidden_size = config.integer("hidden_size", 1, kMaxDimension);
  const std::int64_t inner = config.integer("intermediate_size", 1, kMaxDimension);
  read_heads(config, spec, "num_attention_heads", "num_key_value_heads", family.has_head_dim);
  if (family.head_dim > 0 && config.find("head_dim") == nullptr) spec.head_dim = family.head_dim;
  spec.vocab_size = config.integer("vocab_size", 1, kMaxDimension);
  spec.max_positions = config.integer("max_position_embeddings", 1, kMaxDimension, family.positions);
  const auto eps = static_cast<float>(config.number("rms_norm_eps", 0.0, 1.0, family.norm_eps));
  spec.ropes = {read_rope(config, spec, family.theta, 1.0, family.rope_group)};
  spec.tied_embeddings = config.flag("tie_word_embeddings", family.tied_embeddings);
  const Activation activation = read_activation(config, family.activation_key, family.activation);

  const auto norm = [&](const std::string& name) {
    NormSpec result;
    result.name = name;
    result.size = spec.hidden_size;
    result.eps = eps;
    return result;
  };
  const std::int64_t layers = config.integer("num_hidden_layers", 1, kMaxLayers);
  for (std::int64_t i = 0; i < layers; ++i) {
    const std::string prefix = llama_layer_prefix(static_cast<std::size_t>(i));
    LayerSpec layer;
    layer.attention_input = norm(prefix + "input_layernorm");
    layer.feed_forward_input = norm(prefix + "post_attention_layernorm");
    AttentionSpec& attention = layer.attention;
    attention.qkv = {{prefix + "self_attn.q_proj", spec.q_size(), spec.hidden_size, family.qkv_bias},
                     {prefix + "self_attn.k_proj", spec.kv_size(), spec.hidden_size, family.qkv_bias},
                     {prefix + "self_attn.v_proj", spec.kv_size(), spec.hidden_size, family.qkv_bias}};
    attention.out = {prefix + "self_attn.o_proj", spec.hidden_size, spec.q_size(), family.out_bias};
    attention.rope = 0;
    attention.scale = 1.0F / std::sqrt(static_cast<float>(spec.head_dim));
    layer.feed_forward =
        gated_feed_forward(prefix + "mlp.gate_proj", prefix + "mlp.up_proj", prefix + "mlp.down_proj",
                           spec.hidden_size, inner, family.mlp_bias, activation);
    spec.layers.push_back(std::move(layer));
  }
  spec.embedding = "model.embed_tokens.weight";
  spec.embedding_size = spec.hidden_size;
  spec.final_norm = norm("model.norm");
  spec.head = {spec.tied_embeddings ? "model.embed_tokens" : "lm_head", spec.vocab_size, spec.hidden_size};
  return spec;
}

void add_qk_norm(ModelSpec& spec) {
  for (std::size_t i = 0; i < spec.layers.size(); ++i) {
    NormSpec norm = spec.layers[i].attention_input;
    norm.size = spec.head_dim;
    norm.name = llama_layer_prefix(i) + "self_attn.q_norm";
    spec.layers[i].attention.q_norm = norm;
    norm.name = llama_layer_prefix(i) + "self_attn.k_norm";
    spec.layers[i].attention.k_norm = norm;
  }
}

void read_qwen_windows(ConfigReader& config, ModelSpec& spec) {
  const auto layers = static_cast<std::int64_t>(spec.layers.size());
  const bool used = config.flag("use_sliding_window", false) && (config.find("sliding_window") != nullptr);
  const std::int64_t window = config.integer("sliding_window", 0, kMaxDimension, 0);
  const std::int64_t first = config.integer("max_window_layers", 0, kMaxLayers, 28);
  const auto windows =
      read_windows(config, layers, used ? window : 0, [&](std::int64_t layer) { return layer >= first; });
  for (std::size_t i = 0; i < windows.size(); ++i) spec.layers[i].attention.window = windows[i];
}

void make_gemma(ModelSpec& spec) {
  // In float, as the reference computes in float; in BF16 it rounds the factor to BF16.
  spec.embedding_scale = static_cast<float>(std::sqrt(static_cast<double>(spec.hidden_size)));
  for (LayerSpec& layer : spec.layers) {
    layer.attention_input.weight_offset = 1;
    layer.feed_forward_input.weight_offset = 1;
  }
  spec.final_norm.weight_offset = 1;
}

void make_gemma2(ConfigReader& config, ModelSpec& spec) {
  make_gemma(spec);
  const double scalar = config.number("query_pre_attn_scalar", 1e-6, 1e9, 256.0);
  for (std::size_t i = 0; i < spec.layers.size(); ++i) {
    LayerSpec& layer = spec.layers[i];
    const std::string prefix = llama_layer_prefix(i);
    layer.attention_output = layer.feed_forward_output = layer.attention_input;
    layer.attention_output.name = prefix + "post_attention_layernorm";
    layer.feed_forward_input.name = prefix + "pre_feedforward_layernorm";
    layer.feed_forward_output.name = prefix + "post_feedforward_layernorm";
    layer.attention.scale = static_cast<float>(1 / std::sqrt(scalar));
  }
}

}  // namespace twofold
