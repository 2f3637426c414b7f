#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/random.h"
#include "support/temp_directory.h"
#include "tensor/dtype.h"
#include "tensor/safetensors.h"

namespace twofold::testing {

/// About normal, from the sum of uniforms: enough for weights in tests.
inline float gaussian(Random& random) {
  double sum = 0;
  for (int i = 0; i < 12; ++i) sum += random.uniform();
  return static_cast<float>(sum - 6);
}

/// A random Llama small enough to build in a test, as a Hugging Face directory.
struct TinyModel {
  std::int64_t hidden = 32;
  std::int64_t intermediate = 48;
  std::int64_t layers = 2;
  std::int64_t heads = 4;
  std::int64_t kv_heads = 2;
  std::int64_t vocab = 64;
  std::int64_t positions = 64;
  bool tied = false;
  DType dtype = DType::kF32;
  std::uint64_t seed = 1;
  nlohmann::json config_overrides = nlohmann::json::object();
  std::map<std::string, std::vector<float>> weights;  // filled by `write`; set before to replace a tensor

  nlohmann::json config() const {
    nlohmann::json json = {{"architectures", {"LlamaForCausalLM"}},
                           {"model_type", "llama"},
                           {"hidden_size", hidden},
                           {"intermediate_size", intermediate},
                           {"num_hidden_layers", layers},
                           {"num_attention_heads", heads},
                           {"num_key_value_heads", kv_heads},
                           {"hidden_act", "silu"},
                           {"rms_norm_eps", 1e-5},
                           {"rope_theta", 10000.0},
                           {"max_position_embeddings", positions},
                           {"vocab_size", vocab},
                           {"tie_word_embeddings", tied},
                           {"bos_token_id", 1},
                           {"eos_token_id", 2}};
    json.update(config_overrides);
    return json;
  }

  std::map<std::string, std::vector<std::int64_t>> shapes() const {
    const std::int64_t kv = hidden / heads * kv_heads;
    std::map<std::string, std::vector<std::int64_t>> all = {{"model.embed_tokens.weight", {vocab, hidden}},
                                                            {"model.norm.weight", {hidden}}};
    if (!tied) all["lm_head.weight"] = {vocab, hidden};
    for (std::int64_t i = 0; i < layers; ++i) {
      const std::string prefix = "model.layers." + std::to_string(i) + ".";
      all[prefix + "input_layernorm.weight"] = {hidden};
      all[prefix + "post_attention_layernorm.weight"] = {hidden};
      all[prefix + "self_attn.q_proj.weight"] = {hidden, hidden};
      all[prefix + "self_attn.k_proj.weight"] = {kv, hidden};
      all[prefix + "self_attn.v_proj.weight"] = {kv, hidden};
      all[prefix + "self_attn.o_proj.weight"] = {hidden, hidden};
      all[prefix + "mlp.gate_proj.weight"] = {intermediate, hidden};
      all[prefix + "mlp.up_proj.weight"] = {intermediate, hidden};
      all[prefix + "mlp.down_proj.weight"] = {hidden, intermediate};
    }
    return all;
  }

  void write(const std::filesystem::path& directory) {
    std::filesystem::create_directories(directory);
    std::ofstream(directory / "config.json") << config().dump(2);
    std::uint64_t bound = 64;
    for (const auto& [name, shape] : shapes()) bound += SafetensorsWriter::header_bytes_bound(name);
    SafetensorsWriter writer(directory / "model.safetensors", bound);
    Random random(seed);
    for (const auto& [name, shape] : shapes()) {
      std::size_t n = 1;
      for (const std::int64_t d : shape) n *= static_cast<std::size_t>(d);
      std::vector<float>& values = weights[name];
      if (values.empty()) {
        const float spread = shape.size() == 1 ? 0.1F : 1.0F / std::sqrt(static_cast<float>(shape.back()));
        for (std::size_t i = 0; i < n; ++i)
          values.push_back((shape.size() == 1 ? 1.0F : 0.0F) + spread * gaussian(random));
      }
      std::vector<std::uint8_t> bytes;
      for (const float value : values) {
        std::uint32_t bits = 0;
        if (dtype == DType::kF32) std::memcpy(&bits, &value, sizeof bits);
        if (dtype == DType::kBF16) bits = float_to_bf16(value);
        if (dtype == DType::kF16) bits = float_to_f16(value);
        for (std::size_t b = 0; b < dtype_bytes(dtype); ++b)
          bytes.push_back(static_cast<std::uint8_t>(bits >> (8 * b)));
      }
      writer.add(name, dtype, shape, bytes);
    }
    writer.finish({{"format", "pt"}});
  }
};

}  // namespace twofold::testing
