// Gemma 1 to 3, text only: norms around a weight of one, scaled embeddings, gated GELU. Gemma 2 adds norms
// after attention and feed-forward, soft caps and a window in every other layer; Gemma 3 norms of queries and
// keys and a rotary embedding of its own for the layers with a window.

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/llama_family.h"
#include "model/registry.h"

namespace twofold {

namespace {

LlamaFamily gemma_family(ConfigReader& config) {
  LlamaFamily family;
  family.tied_embeddings = true;
  family.head_dim = 256;
  family.positions = 8192;
  const bool bias = config.flag("attention_bias", false);
  family.qkv_bias = bias;
  family.out_bias = bias;
  family.activation = "gelu_pytorch_tanh";
  family.activation_key = "hidden_activation";
  return family;
}

float read_cap(ConfigReader& config, const char* key, std::optional<double> missing) {
  if (config.contains(key) || !missing) {
    return config.find(key) == nullptr ? 0.0F : static_cast<float>(config.number(key, 1e-6, 1e9));
  }
  return static_cast<float>(*missing);
}

/// That of the layers with a window.
RopeSpec local_rope(ConfigReader& config, ModelSpec& spec) {
  const double theta = config.number("rope_local_base_freq", 1.0, 1e12, 10000.0);
  const Json* parameters = config.find("rope_parameters");
  if (parameters != nullptr && parameters->contains("sliding_attention")) {
    return read_rope_parameters((*parameters)["sliding_attention"], config.where() + ": \"rope_parameters\"",
                                spec, theta, 1.0);
  }
  RopeSpec local;
  local.dims = spec.head_dim;
  local.theta = theta;
  return local;
}

void set_windows(ModelSpec& spec, const std::vector<std::int64_t>& windows) {
  for (std::size_t i = 0; i < windows.size(); ++i) spec.layers[i].attention.window = windows[i];
}

}  // namespace

ModelSpec parse_gemma(ConfigReader& config) {
  const LlamaFamily family = gemma_family(config);
  // The first files say "gelu" in hidden_act and mean its approximation, which the models were trained with.
  const std::string act = config.text("hidden_act", "gelu");
  if (act != "gelu" && act != "gelu_pytorch_tanh") {
    fail("{}: \"hidden_act\": expected gelu or gelu_pytorch_tanh, found {}", config.where(), json_quote(act));
  }
  config.require("use_bidirectional_attention", false);
  ModelSpec spec = parse_llama_family(config, family);
  make_gemma(spec);
  return spec;
}

ModelSpec parse_gemma2(ConfigReader& config) {
  const LlamaFamily family = gemma_family(config);
  config.harmless({"hidden_act"});  // hidden_activation is what counts
  config.require("use_bidirectional_attention", false);
  ModelSpec spec = parse_llama_family(config, family);
  make_gemma2(config, spec);
  const float cap = read_cap(config, "attn_logit_softcapping", 50.0);
  for (LayerSpec& layer : spec.layers) layer.attention.soft_cap = cap;
  spec.logit_soft_cap = read_cap(config, "final_logit_softcapping", 30.0);
  const std::int64_t window = config.integer("sliding_window", 1, kMaxDimension, 4096);
  set_windows(spec, read_windows(config, static_cast<std::int64_t>(spec.layers.size()), window,
                                 [](std::int64_t layer) { return layer % 2 == 0; }));
  return spec;
}

ModelSpec parse_gemma3(ConfigReader& config) {
  LlamaFamily family = gemma_family(config);
  family.theta = 1e6;
  family.positions = 131072;
  family.rope_group = "full_attention";
  config.harmless({"hidden_act"});
  config.require("use_bidirectional_attention", false);
  if (config.find("attn_logit_softcapping") != nullptr) {
    fail("{}: \"attn_logit_softcapping\": only null is supported", config.where());
  }
  ModelSpec spec = parse_llama_family(config, family);
  make_gemma2(config, spec);
  add_qk_norm(spec);
  spec.logit_soft_cap = read_cap(config, "final_logit_softcapping", std::nullopt);
  spec.ropes.push_back(local_rope(config, spec));
  const std::int64_t window = config.integer("sliding_window", 1, kMaxDimension, 4096);
  const std::int64_t pattern = config.integer("sliding_window_pattern", 1, kMaxLayers,
                                              config.integer("_sliding_window_pattern", 1, kMaxLayers, 6));
  set_windows(spec, read_windows(config, static_cast<std::int64_t>(spec.layers.size()), window,
                                 [&](std::int64_t layer) { return (layer + 1) % pattern != 0; }));
  for (LayerSpec& layer : spec.layers) layer.attention.rope = layer.attention.window > 0 ? 1 : 0;
  return spec;
}

}  // namespace twofold
