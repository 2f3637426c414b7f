#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace twofold {

/// One linear layer Y = X W^T + b, with W of shape [rows, cols] = [outputs, input channels].
struct LinearSpec {
  std::string name;  // tensor name without ".weight" / ".bias"
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  bool bias = false;

  std::string weight() const { return name + ".weight"; }
};

/// One decoder layer: norm, attention, norm, gated feed-forward.
struct LayerSpec {
  std::string input_norm;  // tensor names
  std::string post_attention_norm;
  LinearSpec q, k, v, o;
  LinearSpec gate, up, down;

  std::array<const LinearSpec*, 7> linears() const { return {&q, &k, &v, &o, &gate, &up, &down}; }
};

/// What config.json says of a model, as data: shapes, constants, and which tensor plays which part.
struct ModelSpec {
  std::string architecture;  // "LlamaForCausalLM"
  std::int64_t hidden_size = 0;
  std::int64_t intermediate_size = 0;
  std::int64_t heads = 0;     // query heads
  std::int64_t kv_heads = 0;  // divides heads
  std::int64_t head_dim = 0;  // even
  std::int64_t vocab_size = 0;
  std::int64_t max_positions = 0;  // context the model was made for, tokens
  float norm_eps = 0;
  float rope_theta = 0;
  bool tied_embeddings = false;  // the head is the embedding
  std::optional<std::int64_t> bos;
  std::vector<std::int64_t> eos;  // any of these ends a text

  std::string embedding;  // tensor name, [vocab, hidden]
  std::string final_norm;
  LinearSpec head;  // [vocab, hidden]
  std::vector<LayerSpec> layers;

  std::int64_t q_size() const { return heads * head_dim; }
  std::int64_t kv_size() const { return kv_heads * head_dim; }
};

/// An architecture: how its config.json reads. A new one is one file and one line in registry.cpp.
struct Architecture {
  std::string_view name;  // as in "architectures"
  ModelSpec (*parse)(const Json& config, std::string_view where);
};

/// Reads config.json (and the EOS ids of generation_config.json) of a model directory. Throws Error for a
/// missing or unknown architecture, listing the known ones, and for any field out of range.
ModelSpec load_model_spec(const std::filesystem::path& directory);

/// Tied embeddings are stored once, under the embedding's name or the head's: makes both names the one that
/// `stored` says is there.
void resolve_tied_embeddings(ModelSpec& spec, const std::function<bool(const std::string&)>& stored);

/// The parser behind it; `where` names the file.
ModelSpec parse_model_spec(const Json& config, std::string_view where);

extern const Architecture kLlama;

}  // namespace twofold
