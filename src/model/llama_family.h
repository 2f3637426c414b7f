#pragma once

#include "model/config_fields.h"

namespace twofold {

// Llama and those grown from it: RMSNorm before attention and feed-forward, rotary embedding, grouped keys,
// gated feed-forward, the tensor names of Llama. What an architecture changes, it changes in the finished
// spec.

struct LlamaFamily {
  bool has_head_dim = true;       // whether "head_dim" is a field
  bool tied_embeddings = false;   // when config.json does not tell
  double theta = 10000;           // the same of "rope_theta"
  double norm_eps = 1e-6;         // and of "rms_norm_eps"
  std::int64_t head_dim = 0;      // and of "head_dim"; 0: hidden / heads
  std::int64_t positions = 2048;  // and of "max_position_embeddings"
  const char* activation = "silu";
  const char* activation_key = "hidden_act";
  const char* rope_group = nullptr;  // member of "rope_parameters"
  bool qkv_bias = false;
  bool out_bias = false;
  bool mlp_bias = false;
};

/// Reads what all of them have; layers with separate q, k, v and gate, up, down linears.
ModelSpec parse_llama_family(ConfigReader& config, const LlamaFamily& family);

/// "model.layers.<i>."
std::string llama_layer_prefix(std::size_t layer);

/// Gated feed-forward of three linears: act(gate x) * (up x) -> down.
FeedForwardSpec gated_feed_forward(const std::string& gate, const std::string& up, const std::string& down,
                                   std::int64_t hidden, std::int64_t inner, bool bias, Activation activation);

/// RMSNorm of queries and keys of each head, before rotation (Qwen3, Gemma 3).
void add_qk_norm(ModelSpec& spec);

/// "sliding_window" for the layers from "max_window_layers" on or as "layer_types" tells, when
/// "use_sliding_window" (Qwen2, Qwen3).
void read_qwen_windows(ConfigReader& config, ModelSpec& spec);

/// RMSNorm weights are stored minus one, embeddings are multiplied by sqrt(hidden) (Gemma).
void make_gemma(ModelSpec& spec);

/// Norms before and after both halves of a layer, soft caps, "query_pre_attn_scalar" (Gemma 2 and 3).
void make_gemma2(ConfigReader& config, ModelSpec& spec);

}  // namespace twofold
