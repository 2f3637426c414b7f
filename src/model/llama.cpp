#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/model_spec.h"

namespace twofold {

namespace {

constexpr std::int64_t kMaxDimension = std::int64_t{1} << 24;

/// Rotary settings stand at the top level in older files and under "rope_parameters" in newer ones; both
/// may ask for a scaled kind, which changes every position and so cannot be passed over.
float parse_rope_theta(const Json& config, std::string_view where) {
  const Json* rope = &config;
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    const auto it = config.find(key);
    if (it == config.end() || it->is_null()) continue;
    const char* type_key = it->contains("rope_type") ? "rope_type" : "type";
    const std::string type = json_string(*it, type_key, where, "default");
    if (type != "default") fail("{}: \"{}\": expected rope type \"default\", found \"{}\"", where, key, type);
    if (it->contains("rope_theta")) rope = &*it;
  }
  return static_cast<float>(json_double(*rope, "rope_theta", where, 1.0, 1e12, 10000.0));
}

LinearSpec linear(const std::string& prefix, const char* name, std::int64_t rows, std::int64_t cols,
                  bool bias) {
  return {prefix + name, rows, cols, bias};
}

ModelSpec parse_llama(const Json& config, std::string_view where) {
  ModelSpec spec;
  spec.hidden_size = json_int(config, "hidden_size", where, 1, kMaxDimension);
  spec.intermediate_size = json_int(config, "intermediate_size", where, 1, kMaxDimension);
  spec.heads = json_int(config, "num_attention_heads", where, 1, 65536);
  spec.kv_heads = json_int(config, "num_key_value_heads", where, 1, spec.heads, spec.heads);
  spec.vocab_size = json_int(config, "vocab_size", where, 1, kMaxDimension);
  spec.max_positions = json_int(config, "max_position_embeddings", where, 1, kMaxDimension, 2048);
  spec.norm_eps = static_cast<float>(json_double(config, "rms_norm_eps", where, 0.0, 1.0, 1e-6));
  spec.rope_theta = parse_rope_theta(config, where);
  spec.tied_embeddings = json_bool(config, "tie_word_embeddings", where, false);
  if (spec.heads % spec.kv_heads != 0) {
    fail("{}: \"num_key_value_heads\": expected a divisor of {} heads, found {}", where, spec.heads,
         spec.kv_heads);
  }
  const bool has_head_dim = config.contains("head_dim") && !config["head_dim"].is_null();
  if (!has_head_dim && spec.hidden_size % spec.heads != 0) {
    fail("{}: \"hidden_size\": expected a multiple of {} heads, found {}", where, spec.heads,
         spec.hidden_size);
  }
  spec.head_dim = json_int(config, "head_dim", where, 2, 65536, spec.hidden_size / spec.heads);
  if (spec.head_dim % 2 != 0)
    fail("{}: \"head_dim\": expected an even number, found {}", where, spec.head_dim);
  const std::string act = json_string(config, "hidden_act", where, "silu");
  if (act != "silu") fail("{}: \"hidden_act\": expected \"silu\", found \"{}\"", where, act);

  const bool attention_bias = json_bool(config, "attention_bias", where, false);
  const bool mlp_bias = json_bool(config, "mlp_bias", where, false);
  const std::int64_t layers = json_int(config, "num_hidden_layers", where, 1, 10000);
  for (std::int64_t i = 0; i < layers; ++i) {
    const std::string prefix = fmt::format("model.layers.{}.", i);
    LayerSpec layer;
    layer.input_norm = prefix + "input_layernorm.weight";
    layer.post_attention_norm = prefix + "post_attention_layernorm.weight";
    layer.q = linear(prefix, "self_attn.q_proj", spec.q_size(), spec.hidden_size, attention_bias);
    layer.k = linear(prefix, "self_attn.k_proj", spec.kv_size(), spec.hidden_size, attention_bias);
    layer.v = linear(prefix, "self_attn.v_proj", spec.kv_size(), spec.hidden_size, attention_bias);
    layer.o = linear(prefix, "self_attn.o_proj", spec.hidden_size, spec.q_size(), attention_bias);
    layer.gate = linear(prefix, "mlp.gate_proj", spec.intermediate_size, spec.hidden_size, mlp_bias);
    layer.up = linear(prefix, "mlp.up_proj", spec.intermediate_size, spec.hidden_size, mlp_bias);
    layer.down = linear(prefix, "mlp.down_proj", spec.hidden_size, spec.intermediate_size, mlp_bias);
    spec.layers.push_back(std::move(layer));
  }
  spec.embedding = "model.embed_tokens.weight";
  spec.final_norm = "model.norm.weight";
  spec.head = linear("", spec.tied_embeddings ? "model.embed_tokens" : "lm_head", spec.vocab_size,
                     spec.hidden_size, false);
  return spec;
}

}  // namespace

const Architecture kLlama = {"LlamaForCausalLM", parse_llama};

}  // namespace twofold
