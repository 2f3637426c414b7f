#include "compress/synth.h"

#include <chrono>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "codec/codec.h"
#include "compress/synth_shapes.h"
#include "compress/synth_writers.h"
#include "model/model_spec.h"
#include "tensor/dtype.h"

namespace twofold {

namespace {

// Beyond these a free step says little: nearly all zeros, or clamped at +-127.
constexpr double kMinEntropy = 0.5;
constexpr double kMaxEntropy = 6.5;
constexpr std::uint64_t kMaxConfigBytes = std::uint64_t{1} << 26;
constexpr SynthRecipe kRecipes[] = {SynthRecipe::kDc, SynthRecipe::kTensor, SynthRecipe::kChannel};

void check(const SynthOptions& options) {
  if (options.entropy && !(*options.entropy >= kMinEntropy && *options.entropy <= kMaxEntropy)) {
    throw UsageError(fmt::format("--entropy: expected {} to {} bits, found {}", kMinEntropy, kMaxEntropy,
                                 *options.entropy));
  }
  if (options.layers && *options.layers < 1) {
    throw UsageError(fmt::format("--layers: expected at least 1, found {}", *options.layers));
  }
  Recipe recipe;
  recipe.codec = options.codec;
  twofold::check(recipe);
}

Json load_config(const SynthOptions& options) {
  Json config = published_config(options.like);
  if (config.is_null()) {
    std::error_code error;
    std::filesystem::path path = options.like;
    if (std::filesystem::is_directory(path, error)) path /= "config.json";
    if (path.extension() != ".json" && !std::filesystem::is_regular_file(path, error)) {
      throw UsageError(
          fmt::format("--like: expected one of {}, a model directory or a config.json, found \"{}\"",
                      published_names(), options.like));
    }
    config = read_json_file(path, kMaxConfigBytes);
    if (!config.is_object()) fail("{}: expected a JSON object", path.string());
    config.erase("quantization_config");
  }
  if (options.layers) config[config.contains("n_layer") ? "n_layer" : "num_hidden_layers"] = *options.layers;
  config["torch_dtype"] = "bfloat16";
  config["synthetic"] = {{"seed", options.seed}};  // lest someone take the weights for trained ones
  return config;
}

/// Lists the tensors of a model in the order in which they run. `as_original`: with the shapes in which an
/// original stores them.
class TensorList {
 public:
  TensorList(const ModelSpec& spec, bool as_original) : as_original_(as_original) {
    add_matrix(Kind::kEmbedding, spec.embedding, spec.vocab_size, spec.embedding_size);
    add_plain(spec.project_in);
    if (!spec.positions.name.empty())
      add_matrix(Kind::kPlain, spec.positions.name, spec.positions.rows, spec.hidden_size);
    for (const LayerSpec& layer : spec.layers) add_layer(layer);
    add_norm(spec.final_norm);
    add_plain(spec.project_out);
    if (!spec.tied_embeddings)
      add_matrix(Kind::kEmbedding, spec.head.weight(), spec.head.rows, spec.head.cols);
  }

  std::vector<SynthTensor> tensors;

 private:
  using Kind = SynthTensor::Kind;

  void add_matrix(Kind kind, const std::string& name, std::int64_t rows, std::int64_t cols) {
    tensors.push_back({kind, name, rows, cols});
  }

  void add_bias(const LinearSpec& linear) {
    if (linear.bias) tensors.push_back({Kind::kBias, linear.name + ".bias", 1, linear.rows});
  }

  void add_plain(const LinearSpec& linear) {
    if (!linear.present()) return;
    add_matrix(Kind::kPlain, linear.weight(), linear.rows, linear.cols);
    add_bias(linear);
  }

  void add_linear(const LinearSpec& linear, const std::string& input, SynthInput kind) {
    const bool swapped = as_original_ && linear.transposed;
    tensors.push_back({Kind::kLinear, linear.weight(), swapped ? linear.cols : linear.rows,
                       swapped ? linear.rows : linear.cols, input, kind});
    add_bias(linear);
  }

  void add_norm(const NormSpec& norm) {
    if (!norm.present()) return;
    if (norm.weight) {
      tensors.push_back({Kind::kNorm, norm.name + ".weight", 1, norm.size, norm.name + ".weight"});
      tensors.back().offset = norm.weight_offset;
    }
    if (norm.bias) tensors.push_back({Kind::kBias, norm.name + ".bias", 1, norm.size});
  }

  void add_feed_forward(const FeedForwardSpec& mlp, const std::string& input) {
    for (const LinearSpec& linear : mlp.in) add_linear(linear, input, SynthInput::kNormed);
    if (mlp.down.present()) add_linear(mlp.down, mlp.down.name, SynthInput::kProduct);
  }

  void add_layer(const LayerSpec& layer) {
    const auto input_of = [&](const NormSpec& norm, const std::string& otherwise) {
      return norm.present() ? norm.name + ".weight" : otherwise;
    };
    const AttentionSpec& attention = layer.attention;
    const std::string attention_input = input_of(layer.attention_input, attention.qkv[0].name);
    add_norm(layer.attention_input);
    for (const LinearSpec& linear : attention.qkv) add_linear(linear, attention_input, SynthInput::kNormed);
    add_norm(attention.q_norm);
    add_norm(attention.k_norm);
    add_linear(attention.out, attention.out.name, SynthInput::kProduct);
    add_norm(layer.attention_output);
    add_norm(layer.residual_norm);
    add_norm(layer.feed_forward_input);
    const std::string input =
        input_of(layer.feed_forward_input, input_of(layer.residual_norm, attention_input));
    add_feed_forward(layer.feed_forward, input);
    if (layer.moe) {
      for (const LinearSpec* router : layer.routers()) add_plain(*router);
      for (const FeedForwardSpec& expert : layer.moe->experts) add_feed_forward(expert, input);
      add_feed_forward(layer.moe->shared, input);
    }
    add_norm(layer.feed_forward_output);
    add_norm(layer.final_residual_norm);
  }

  bool as_original_;
};

}  // namespace

SynthRecipe parse_synth_recipe(std::string_view name) {
  for (const SynthRecipe recipe : kRecipes) {
    if (synth_recipe_name(recipe) == name) return recipe;
  }
  throw UsageError(fmt::format("--recipe-like: expected dc, tensor or channel, found \"{}\"", name));
}

std::string_view synth_recipe_name(SynthRecipe recipe) {
  switch (recipe) {
    case SynthRecipe::kTensor:
      return "tensor";
    case SynthRecipe::kChannel:
      return "channel";
    case SynthRecipe::kDc:
      break;
  }
  return "dc";
}

void store_bf16(std::span<const float> values, std::uint8_t* out) {
  for (const float value : values) {
    const std::uint16_t bits = float_to_bf16(value);
    *out++ = static_cast<std::uint8_t>(bits & 0xff);
    *out++ = static_cast<std::uint8_t>(bits >> 8);
  }
}

std::vector<std::uint8_t> synth_vector(const SynthTensor& tensor, std::uint64_t seed) {
  const auto size = static_cast<std::size_t>(tensor.cols);
  std::vector<float> values(size);
  if (tensor.kind == SynthTensor::Kind::kNorm) {
    values = synth_channel_maxima(seed, tensor.input, tensor.input_kind, size);
    for (float& value : values) value -= tensor.offset;
  } else {
    SynthMatrix(seed, tensor.name, tensor.cols).row(0, values.data());
  }
  std::vector<std::uint8_t> bytes(2 * size);
  store_bf16(values, bytes.data());
  return bytes;
}

SynthReport synthesize_model(const SynthOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  check(options);
  const Json config = load_config(options);
  const ModelSpec spec = parse_model_spec(config, options.like);
  const SynthPlan plan{options, config, TensorList(spec, options.bf16).tensors, byte_tokenizer(spec)};
  SynthReport report;
  for (const SynthTensor& tensor : plan.tensors) report.parameters += tensor.elements();
  ThreadPool pool(options.threads);
  {
    Progress progress("Writing", report.parameters);
    if (options.bf16) {
      write_synth_checkpoint(plan, pool, progress);
    } else {
      write_synth_container(plan, pool, progress, report);
    }
  }
  report.stored_bytes = directory_bytes(options.destination);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

}  // namespace twofold
