#include "compress/synth_shapes.h"

#include <cstdint>
#include <nlohmann/json.hpp>

namespace twofold {

namespace {

/// One of Llama's family.
struct Shape {
  std::string_view name;
  const char* architecture;
  const char* type;
  std::int64_t hidden, intermediate, layers, heads, kv_heads, head_dim, vocab, positions;
  double rope_theta;
  bool tied;
  std::int64_t bos, eos;
};

constexpr const char* kLlama[] = {"LlamaForCausalLM", "llama"};
constexpr const char* kMistral[] = {"MistralForCausalLM", "mistral"};
constexpr const char* kQwen2[] = {"Qwen2ForCausalLM", "qwen2"};
constexpr const char* kQwen3[] = {"Qwen3ForCausalLM", "qwen3"};

// From the published config.json of each.
constexpr Shape kShapes[] = {
    {"smollm2-135m", kLlama[0], kLlama[1], 576, 1536, 30, 9, 3, 64, 49152, 8192, 1e5, true, 1, 2},
    {"smollm2-360m", kLlama[0], kLlama[1], 960, 2560, 32, 15, 5, 64, 49152, 8192, 1e5, true, 1, 2},
    {"tinyllama-1.1b", kLlama[0], kLlama[1], 2048, 5632, 22, 32, 4, 64, 32000, 2048, 1e4, false, 1, 2},
    {"llama-2-7b", kLlama[0], kLlama[1], 4096, 11008, 32, 32, 32, 128, 32000, 4096, 1e4, false, 1, 2},
    {"llama-2-13b", kLlama[0], kLlama[1], 5120, 13824, 40, 40, 40, 128, 32000, 4096, 1e4, false, 1, 2},
    {"llama-2-70b", kLlama[0], kLlama[1], 8192, 28672, 80, 64, 8, 128, 32000, 4096, 1e4, false, 1, 2},
    {"llama-3-8b", kLlama[0], kLlama[1], 4096, 14336, 32, 32, 8, 128, 128256, 8192, 5e5, false, 128000,
     128001},
    {"llama-3-70b", kLlama[0], kLlama[1], 8192, 28672, 80, 64, 8, 128, 128256, 8192, 5e5, false, 128000,
     128001},
    {"llama-3.1-8b", kLlama[0], kLlama[1], 4096, 14336, 32, 32, 8, 128, 128256, 131072, 5e5, false, 128000,
     128001},
    {"llama-3.2-1b", kLlama[0], kLlama[1], 2048, 8192, 16, 32, 8, 64, 128256, 131072, 5e5, true, 128000,
     128001},
    {"llama-3.2-3b", kLlama[0], kLlama[1], 3072, 8192, 28, 24, 8, 128, 128256, 131072, 5e5, true, 128000,
     128001},
    {"mistral-7b", kMistral[0], kMistral[1], 4096, 14336, 32, 32, 8, 128, 32000, 32768, 1e4, false, 1, 2},
    {"qwen2.5-7b", kQwen2[0], kQwen2[1], 3584, 18944, 28, 28, 4, 128, 152064, 131072, 1e6, false, 151643,
     151643},
    {"qwen3-0.6b", kQwen3[0], kQwen3[1], 1024, 3072, 28, 16, 8, 128, 151936, 40960, 1e6, true, 151643,
     151645},
    {"qwen3-4b", kQwen3[0], kQwen3[1], 2560, 9728, 36, 32, 8, 128, 151936, 40960, 1e6, true, 151643, 151645},
    {"qwen3-8b", kQwen3[0], kQwen3[1], 4096, 12288, 36, 32, 8, 128, 151936, 40960, 1e6, false, 151643,
     151645},
};

struct OptShape {
  std::string_view name;
  std::int64_t hidden, layers, heads, embedding;
};

constexpr OptShape kOptShapes[] = {
    {"opt-125m", 768, 12, 12, 768},   {"opt-350m", 1024, 24, 16, 512},  {"opt-1.3b", 2048, 24, 32, 2048},
    {"opt-2.7b", 2560, 32, 32, 2560}, {"opt-6.7b", 4096, 32, 32, 4096}, {"opt-13b", 5120, 40, 40, 5120},
    {"opt-30b", 7168, 48, 56, 7168},
};

constexpr std::string_view kFalcon7b = "falcon-7b";

Json family_config(const Shape& shape) {
  Json config = {{"architectures", {shape.architecture}},
                 {"model_type", shape.type},
                 {"hidden_act", "silu"},
                 {"hidden_size", shape.hidden},
                 {"intermediate_size", shape.intermediate},
                 {"num_hidden_layers", shape.layers},
                 {"num_attention_heads", shape.heads},
                 {"num_key_value_heads", shape.kv_heads},
                 {"head_dim", shape.head_dim},
                 {"vocab_size", shape.vocab},
                 {"max_position_embeddings", shape.positions},
                 {"rms_norm_eps", 1e-5},
                 {"rope_theta", shape.rope_theta},
                 {"tie_word_embeddings", shape.tied},
                 {"bos_token_id", shape.bos},
                 {"eos_token_id", shape.eos},
                 {"torch_dtype", "bfloat16"}};
  if (shape.architecture == kMistral[0]) config["sliding_window"] = 4096;
  if (shape.architecture == kQwen2[0] || shape.architecture == kQwen3[0]) config["rms_norm_eps"] = 1e-6;
  if (shape.name.starts_with("llama-3.")) {
    config["rope_scaling"] = {{"rope_type", "llama3"},
                              {"factor", shape.name == "llama-3.1-8b" ? 8.0 : 32.0},
                              {"low_freq_factor", 1.0},
                              {"high_freq_factor", 4.0},
                              {"original_max_position_embeddings", 8192}};
  }
  return config;
}

Json opt_config(const OptShape& shape) {
  return {{"architectures", {"OPTForCausalLM"}},
          {"model_type", "opt"},
          {"activation_function", "relu"},
          {"hidden_size", shape.hidden},
          {"ffn_dim", 4 * shape.hidden},
          {"word_embed_proj_dim", shape.embedding},
          {"do_layer_norm_before", shape.embedding == shape.hidden},  // all but 350M
          {"num_hidden_layers", shape.layers},
          {"num_attention_heads", shape.heads},
          {"vocab_size", 50272},
          {"max_position_embeddings", 2048},
          {"bos_token_id", 2},
          {"eos_token_id", 2},
          {"pad_token_id", 1},
          {"torch_dtype", "bfloat16"}};
}

Json falcon_config() {
  return {{"architectures", {"FalconForCausalLM"}},
          {"model_type", "falcon"},
          {"alibi", false},
          {"bias", false},
          {"hidden_size", 4544},
          {"layer_norm_epsilon", 1e-5},
          {"multi_query", true},
          {"new_decoder_architecture", false},
          {"num_attention_heads", 71},
          {"num_hidden_layers", 32},
          {"parallel_attn", true},
          {"vocab_size", 65024},
          {"bos_token_id", 11},
          {"eos_token_id", 11},
          {"torch_dtype", "bfloat16"}};
}

}  // namespace

Json published_config(std::string_view name) {
  for (const Shape& shape : kShapes) {
    if (shape.name == name) return family_config(shape);
  }
  for (const OptShape& shape : kOptShapes) {
    if (shape.name == name) return opt_config(shape);
  }
  return name == kFalcon7b ? falcon_config() : Json(nullptr);
}

std::string published_names() {
  std::string names;
  for (const Shape& shape : kShapes) names += std::string(shape.name) + ", ";
  for (const OptShape& shape : kOptShapes) names += std::string(shape.name) + ", ";
  return names + std::string(kFalcon7b);
}

}  // namespace twofold
