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
    if (!options.like.ends_with(".json") && !std::filesystem::is_regular_file(options.like, error)) {
      throw UsageError(fmt::format("--like: expected one of {} or a config.json, found \"{}\"",
                                   published_names(), options.like));
    }
    config = read_json_file(options.like, kMaxConfigBytes);
    if (!config.is_object()) fail("{}: expected a JSON object", options.like);
    config.erase("quantization_config");
  }
  if (options.layers) config["num_hidden_layers"] = *options.layers;
  config["torch_dtype"] = "bfloat16";
  config["synthetic"] = {{"seed", options.seed}};  // lest someone take the weights for trained ones
  return config;
}

std::vector<SynthTensor> list_tensors(const ModelSpec& spec) {
  using Kind = SynthTensor::Kind;
  std::vector<SynthTensor> tensors;
  const auto add_linear = [&](const LinearSpec& linear, const std::string& input, SynthInput kind) {
    tensors.push_back({Kind::kLinear, linear.weight(), linear.rows, linear.cols, input, kind});
    if (linear.bias) tensors.push_back({Kind::kBias, linear.name + ".bias", 1, linear.rows});
  };
  const auto add_norm = [&](const std::string& name) {
    tensors.push_back({Kind::kNorm, name, 1, spec.hidden_size, name});
  };
  tensors.push_back({Kind::kEmbedding, spec.embedding, spec.vocab_size, spec.hidden_size});
  for (const LayerSpec& layer : spec.layers) {
    add_norm(layer.input_norm);
    for (const LinearSpec* linear : {&layer.q, &layer.k, &layer.v}) {
      add_linear(*linear, layer.input_norm, SynthInput::kNormed);
    }
    add_linear(layer.o, layer.o.name, SynthInput::kProduct);
    add_norm(layer.post_attention_norm);
    for (const LinearSpec* linear : {&layer.gate, &layer.up}) {
      add_linear(*linear, layer.post_attention_norm, SynthInput::kNormed);
    }
    add_linear(layer.down, layer.down.name, SynthInput::kProduct);
  }
  add_norm(spec.final_norm);
  if (!spec.tied_embeddings) {
    tensors.push_back({Kind::kEmbedding, spec.head.weight(), spec.head.rows, spec.head.cols});
  }
  return tensors;
}

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
  const SynthPlan plan{options, config, list_tensors(spec), byte_tokenizer(spec)};
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
