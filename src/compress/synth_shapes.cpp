#include "compress/synth_shapes.h"

#include <cstdint>
#include <nlohmann/json.hpp>

namespace twofold {

namespace {

struct Shape {
  std::string_view name;
  std::int64_t hidden, intermediate, layers, heads, kv_heads, vocab, positions;
  double rope_theta;
  bool tied;
  std::int64_t bos, eos;
};

// From the published config.json of each. Mistral is a Llama but for the window of its attention, and here is
// given as one.
constexpr Shape kShapes[] = {
    {"smollm2-135m", 576, 1536, 30, 9, 3, 49152, 8192, 1e5, true, 1, 2},
    {"smollm2-360m", 960, 2560, 32, 15, 5, 49152, 8192, 1e5, true, 1, 2},
    {"tinyllama-1.1b", 2048, 5632, 22, 32, 4, 32000, 2048, 1e4, false, 1, 2},
    {"llama-2-7b", 4096, 11008, 32, 32, 32, 32000, 4096, 1e4, false, 1, 2},
    {"llama-2-13b", 5120, 13824, 40, 40, 40, 32000, 4096, 1e4, false, 1, 2},
    {"llama-2-70b", 8192, 28672, 80, 64, 8, 32000, 4096, 1e4, false, 1, 2},
    {"llama-3-8b", 4096, 14336, 32, 32, 8, 128256, 8192, 5e5, false, 128000, 128001},
    {"llama-3-70b", 8192, 28672, 80, 64, 8, 128256, 8192, 5e5, false, 128000, 128001},
    {"mistral-7b", 4096, 14336, 32, 32, 8, 32000, 32768, 1e4, false, 1, 2},
};

}  // namespace

Json published_config(std::string_view name) {
  for (const Shape& shape : kShapes) {
    if (shape.name != name) continue;
    return {{"architectures", {"LlamaForCausalLM"}},
            {"model_type", "llama"},
            {"hidden_act", "silu"},
            {"hidden_size", shape.hidden},
            {"intermediate_size", shape.intermediate},
            {"num_hidden_layers", shape.layers},
            {"num_attention_heads", shape.heads},
            {"num_key_value_heads", shape.kv_heads},
            {"head_dim", shape.hidden / shape.heads},
            {"vocab_size", shape.vocab},
            {"max_position_embeddings", shape.positions},
            {"rms_norm_eps", 1e-5},
            {"rope_theta", shape.rope_theta},
            {"tie_word_embeddings", shape.tied},
            {"bos_token_id", shape.bos},
            {"eos_token_id", shape.eos},
            {"torch_dtype", "bfloat16"}};
  }
  return nullptr;
}

std::string published_names() {
  std::string names;
  for (const Shape& shape : kShapes) names += (names.empty() ? "" : ", ") + std::string(shape.name);
  return names;
}

}  // namespace twofold
