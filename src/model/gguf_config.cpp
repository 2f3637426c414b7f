// Metadata keys: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md and gguf-py's constants; what they
// mean for a model: llama.cpp's conversion from the Hugging Face directory.

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>
#include <set>

#include "base/error.h"
#include "model/gguf_architecture.h"
#include "model/gguf_model.h"
#include "tensor/tensor_floats.h"

namespace twofold {

namespace {

constexpr GgufArchitecture kArchitectures[] = {
    {.name = "llama", .hugging_face = "LlamaForCausalLM", .model_type = "llama", .paired_rows = true},
    {.name = "qwen2", .hugging_face = "Qwen2ForCausalLM", .model_type = "qwen2"},
    {.name = "qwen2moe", .hugging_face = "Qwen2MoeForCausalLM", .model_type = "qwen2_moe"},
    {.name = "qwen3", .hugging_face = "Qwen3ForCausalLM", .model_type = "qwen3"},
    {.name = "qwen3moe", .hugging_face = "Qwen3MoeForCausalLM", .model_type = "qwen3_moe"},
    {.name = "gemma", .hugging_face = "GemmaForCausalLM", .model_type = "gemma", .norms_plus_one = true},
    {.name = "gemma2",
     .hugging_face = "Gemma2ForCausalLM",
     .model_type = "gemma2",
     .norms_plus_one = true,
     .norms_after = true},
    {.name = "gemma3",
     .hugging_face = "Gemma3ForCausalLM",
     .model_type = "gemma3_text",
     .norms_plus_one = true,
     .norms_after = true},
    {.name = "phi3", .hugging_face = "Phi3ForCausalLM", .model_type = "phi3", .fused = true},
};

constexpr std::int64_t kMax = std::int64_t{1} << 24;

/// Reads the keys "ARCHITECTURE.…" and keeps book of them, as ConfigReader does.
class Metadata {
 public:
  explicit Metadata(const GgufFile& file) : file_(file), prefix_(gguf_architecture(file).name) {
    prefix_ += '.';
  }

  bool has(std::string_view key) { return file_.has(full(key)); }
  std::int64_t integer(std::string_view key, std::int64_t min, std::int64_t max,
                       std::optional<std::int64_t> fallback = std::nullopt) {
    return file_.integer(full(key), min, max, fallback);
  }
  double number(std::string_view key, double min, double max, std::optional<double> fallback = std::nullopt) {
    // Written as float32: the shortest decimal that means it, 1e-05 instead of 9.99999974737875e-06.
    const double value = file_.number(full(key), min, max, fallback);
    return std::stod(fmt::format("{}", static_cast<float>(value)));
  }
  std::string_view string(std::string_view key, std::string_view fallback) {
    return file_.string(full(key), fallback);
  }
  void harmless(std::initializer_list<std::string_view> keys) {
    for (const std::string_view key : keys) full(key);
  }
  void finish() const {
    for (const auto& [key, value] : file_.metadata()) {
      if (key.starts_with(prefix_) && !known_.contains(key)) {
        fail("{}: \"{}\": not known, and might change what the model computes", file_.path(), key);
      }
    }
  }

 private:
  std::string full(std::string_view key) {
    std::string name = prefix_ + std::string(key);
    known_.insert(name);
    return name;
  }

  const GgufFile& file_;
  std::string prefix_;
  std::set<std::string, std::less<>> known_;
};

std::vector<float> read_vector(const TensorView& tensor) {
  std::vector<float> values(static_cast<std::size_t>(tensor.elements()));
  read_floats(tensor, 0, values);
  return values;
}

const TensorView* find_tensor(const GgufFile& file, const std::string& name) {
  const auto it = file.tensors().find(name);
  return it == file.tensors().end() ? nullptr : &it->second;
}

/// Llama 3.1's divisors of the frequencies: those of long waves are divided by the largest, those of short
/// ones are kept. Files hold the divisors, not the settings, of which only this one set has been published.
std::vector<double> llama3_divisors(double theta, double factor, std::size_t count) {
  constexpr double kContext = 8192;
  constexpr double kLow = 1;
  constexpr double kHigh = 4;
  std::vector<double> divisors;
  for (std::size_t i = 0; i < count; ++i) {
    const double wave =
        2 * std::numbers::pi * std::pow(theta, static_cast<double>(i) / static_cast<double>(count));
    const double smooth = std::clamp((kContext / wave - kLow) / (kHigh - kLow), 0.0, 1.0);
    divisors.push_back(1 / ((1 - smooth) / factor + smooth));
  }
  return divisors;
}

Json divisors_scaling(const TensorView& divisors, double theta, std::int64_t context) {
  const std::vector<float> values = read_vector(divisors);
  const double factor = *std::max_element(values.begin(), values.end());
  const std::vector<double> llama3 = llama3_divisors(theta, factor, values.size());
  const bool same = std::equal(values.begin(), values.end(), llama3.begin(), [](float a, double b) {
    return std::fabs(static_cast<double>(a) - b) <= 1e-4 * b;
  });
  if (same) {
    return {{"rope_type", "llama3"},
            {"factor", factor},
            {"low_freq_factor", 1.0},
            {"high_freq_factor", 4.0},
            {"original_max_position_embeddings", 8192}};
  }
  return {{"rope_type", "longrope"},
          {"short_factor", values},
          {"long_factor", values},
          {"original_max_position_embeddings", context},
          {"attention_factor", 1.0}};
}

void read_rope(const GgufFile& file, Metadata& metadata, Json& config, std::int64_t head_dim) {
  const double theta = metadata.number("rope.freq_base", 1, 1e12, 10000.0);
  config["rope_theta"] = theta;
  const std::int64_t context = config["max_position_embeddings"].get<std::int64_t>();
  const std::int64_t dims = metadata.integer("rope.dimension_count", 2, head_dim, head_dim);
  if (dims != head_dim) {
    config["partial_rotary_factor"] = static_cast<double>(dims) / static_cast<double>(head_dim);
  }

  const double old_linear = metadata.number("rope.scale_linear", 1e-3, 1e6, 1.0);
  const std::string type(metadata.string("rope.scaling.type", old_linear == 1.0 ? "none" : "linear"));
  const double factor = metadata.number("rope.scaling.factor", 0, 1e6, old_linear);
  const std::int64_t original = metadata.integer("rope.scaling.original_context_length", 1, kMax, context);
  const double attention_factor = metadata.number("rope.scaling.attn_factor", 0, 1e6, 0.0);
  metadata.harmless({"rope.scaling.finetuned"});
  const TensorView* divisors = find_tensor(file, "rope_freqs.weight");
  const TensorView* long_divisors = find_tensor(file, "rope_factors_long.weight");
  const TensorView* short_divisors = find_tensor(file, "rope_factors_short.weight");

  if (long_divisors != nullptr && short_divisors != nullptr) {
    config["original_max_position_embeddings"] = original;
    config["rope_scaling"] = {{"rope_type", "longrope"},
                              {"short_factor", read_vector(*short_divisors)},
                              {"long_factor", read_vector(*long_divisors)}};
    if (attention_factor > 0) config["rope_scaling"]["attention_factor"] = attention_factor;
  } else if (type == "linear") {
    if (factor != 1 && factor != 0) config["rope_scaling"] = {{"rope_type", "linear"}, {"factor", factor}};
  } else if (type == "yarn") {
    config["rope_scaling"] = {{"rope_type", "yarn"},
                              {"factor", factor},
                              {"original_max_position_embeddings", original},
                              {"beta_fast", metadata.number("rope.scaling.yarn_beta_fast", 1e-3, 1e6, 32.0)},
                              {"beta_slow", metadata.number("rope.scaling.yarn_beta_slow", 1e-3, 1e6, 1.0)}};
  } else if (divisors != nullptr) {
    config["rope_scaling"] = divisors_scaling(*divisors, theta, context);
  } else if (type != "none") {
    fail("{}: \"{}.rope.scaling.type\": expected none, linear, yarn or longrope with its tensors, found {}",
         file.path(), gguf_architecture(file).name, json_quote(type));
  }
}

void read_experts(const GgufFile& file, Metadata& metadata, Json& config) {
  const std::string_view name = gguf_architecture(file).name;
  const std::int64_t experts = metadata.integer("expert_count", 0, 4096, 0);
  const std::int64_t used = metadata.integer("expert_used_count", 0, 4096, 0);
  if (experts == 0) return;
  config["num_experts_per_tok"] = used;
  if (name == "llama") {
    config["architectures"] = {"MixtralForCausalLM"};
    config["model_type"] = "mixtral";
    config["num_local_experts"] = experts;
    metadata.harmless({"expert_feed_forward_length"});  // that of the others
    return;
  }
  config["num_experts"] = experts;
  config["norm_topk_prob"] = name == "qwen3moe";
  config["moe_intermediate_size"] = metadata.integer("expert_feed_forward_length", 1, kMax);
  if (name == "qwen2moe") {
    config["shared_expert_intermediate_size"] =
        metadata.integer("expert_shared_feed_forward_length", 1, kMax);
  }
}

/// Constants that llama.cpp knows by the size of the model.
double gemma_query_scalar(std::string_view name, const Json& config) {
  const std::int64_t largest = name == "gemma2" ? 46 : 62;  // layers of the 27B models
  if (config["num_hidden_layers"].get<std::int64_t>() != largest) return config["head_dim"].get<double>();
  return config["hidden_size"].get<double>() / config["num_attention_heads"].get<double>();
}

void read_gemma(std::string_view name, Metadata& metadata, Json& config) {
  if (name == "gemma") return;
  config["query_pre_attn_scalar"] = gemma_query_scalar(name, config);
  config["sliding_window"] = metadata.integer("attention.sliding_window", 1, kMax, 4096);
  if (name == "gemma2") {
    config["attn_logit_softcapping"] = metadata.number("attn_logit_softcapping", 1e-6, 1e9, 50.0);
    config["final_logit_softcapping"] = metadata.number("final_logit_softcapping", 1e-6, 1e9, 30.0);
    return;
  }
  config["sliding_window_pattern"] = metadata.integer("attention.sliding_window_pattern", 1, 10000, 6);
  config["rope_local_base_freq"] = metadata.number("rope.freq_base_swa", 1, 1e12, 10000.0);
  metadata.harmless({"attn_logit_softcapping", "final_logit_softcapping"});  // old files: zero
}

/// Ids of the tokens; a text also ends at those that end a turn.
void read_ids(const GgufFile& file, Json& config) {
  const auto id = [&](const char* key) { return file.integer(key, -1, INT32_MAX, -1); };
  if (const std::int64_t bos = id("tokenizer.ggml.bos_token_id"); bos >= 0) config["bos_token_id"] = bos;
  std::vector<std::int64_t> eos;
  for (const char* key :
       {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"}) {
    const std::int64_t found = id(key);
    if (found >= 0 && std::find(eos.begin(), eos.end(), found) == eos.end()) eos.push_back(found);
  }
  if (eos.size() == 1) config["eos_token_id"] = eos[0];
  if (eos.size() > 1) config["eos_token_id"] = eos;
}

}  // namespace

const GgufArchitecture& gguf_architecture(const GgufFile& file) {
  const std::string_view name = file.string("general.architecture");
  std::string known;
  for (const GgufArchitecture& architecture : kArchitectures) {
    if (architecture.name == name) return architecture;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", architecture.name);
  }
  fail("{}: \"general.architecture\": expected one of {}, found {}", file.path(), known, json_quote(name));
}

bool has_experts(const GgufFile& file) {
  return file.integer(std::string(gguf_architecture(file).name) + ".expert_count", 0, 4096, 0) > 0;
}

Json gguf_config(const GgufFile& file) {
  const GgufArchitecture& architecture = gguf_architecture(file);
  const std::int64_t parts = file.integer("split.count", 0, 65535, 0);
  if (parts > 1)
    fail("{}: \"split.count\": one of {} parts; join them to one file first", file.path(), parts);
  const TensorView* embedding = find_tensor(file, "token_embd.weight");
  if (embedding == nullptr)
    fail("{}: no tensor \"token_embd.weight\"; is this a vocabulary only?", file.path());

  Metadata metadata(file);
  Json config = {{"architectures", {architecture.hugging_face}}, {"model_type", architecture.model_type}};
  config["hidden_size"] = metadata.integer("embedding_length", 1, kMax);
  config["intermediate_size"] = metadata.integer("feed_forward_length", 1, kMax);
  config["num_hidden_layers"] = metadata.integer("block_count", 1, 10000);
  config["max_position_embeddings"] = metadata.integer("context_length", 1, kMax);
  config["rms_norm_eps"] = metadata.number("attention.layer_norm_rms_epsilon", 0, 1);
  config["vocab_size"] = embedding->shape.front();
  config["tie_word_embeddings"] = find_tensor(file, "output.weight") == nullptr;

  const std::int64_t heads = metadata.integer("attention.head_count", 1, 65536);
  config["num_attention_heads"] = heads;
  config["num_key_value_heads"] = metadata.integer("attention.head_count_kv", 1, heads, heads);
  const std::int64_t hidden = config["hidden_size"].get<std::int64_t>();
  const std::int64_t head_dim = metadata.integer("attention.key_length", 1, 65536, hidden / heads);
  if (head_dim == 0) fail("{}: {} channels cannot be {} heads", file.path(), hidden, heads);
  const std::int64_t value_dim = metadata.integer("attention.value_length", 1, 65536, head_dim);
  if (value_dim != head_dim) {
    fail("{}: \"{}.attention.value_length\": expected that of keys, {}, found {}", file.path(),
         architecture.name, head_dim, value_dim);
  }
  // Architectures that do not have the field derive the same number.
  if (head_dim * heads != hidden || architecture.name.starts_with("qwen3") ||
      architecture.name.starts_with("gemma")) {
    config["head_dim"] = head_dim;
  }

  read_rope(file, metadata, config, head_dim);
  read_experts(file, metadata, config);
  read_ids(file, config);
  if (architecture.name == "llama") {
    config["attention_bias"] = find_tensor(file, "blk.0.attn_q.bias") != nullptr;
    config["mlp_bias"] = find_tensor(file, "blk.0.ffn_gate.bias") != nullptr;
  } else if (architecture.name == "phi3") {
    const std::int64_t window = metadata.integer("attention.sliding_window", 0, kMax, 0);
    if (window > 0) config["sliding_window"] = window;
  } else if (architecture.name.starts_with("gemma")) {
    read_gemma(architecture.name, metadata, config);
  }
  metadata.harmless({"vocab_size", "tensor_data_layout"});
  metadata.finish();
  return config;
}

Json load_model_config(const std::filesystem::path& model) {
  if (is_gguf_model(model)) return gguf_config(GgufFile(model));
  return read_json_file(model / "config.json", std::uint64_t{1} << 26);
}

}  // namespace twofold
