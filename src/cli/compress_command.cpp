#include <fmt/core.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/size_text.h"
#include "cli/table.h"
#include "compress/compress.h"
#include "compress/quantizer.h"
#include "compress/shape_linear.h"

namespace twofold {

namespace {

struct Flags {
  CompressOptions options;
  std::string recipe;
  // Flags that stand in for the recipe's values where given.
  std::optional<std::string> alpha, activations, codec, size;
  std::optional<double> sparsity, bits, max_kl;
  std::optional<std::int64_t> tokens;
  std::vector<std::string> skip;
  std::string shard_size = "5GB";
  std::string plan;
  bool json = false;
};

std::string codec_help() {
  std::string help = "Lossless codec:";
  for (const Codec* codec : codecs()) help += fmt::format(" {}", codec->name());
  return help;
}

void parse_alpha(const std::string& text, CompressOptions& options) {
  if (text == "auto") {
    options.auto_alpha = true;
    return;
  }
  std::size_t used = 0;
  try {
    options.recipe.alpha = std::stod(text, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  if (used == 0 || used != text.size()) {
    throw UsageError(fmt::format("--alpha: expected a number from 0 to 1, or auto, found \"{}\"", text));
  }
}

double ratio(std::uint64_t a, std::uint64_t b) {
  return static_cast<double>(a) / static_cast<double>(std::max<std::uint64_t>(b, 1));
}

void print_text(const CompressReport& report, const CompressOptions& options) {
  if (!report.alphas.empty()) {
    Table table({"alpha", "KL (nats)", "entropy (bits/weight)"});
    for (const AlphaPoint& point : report.alphas) {
      table.add({fmt::format("{:.1f}{}", point.alpha, point.alpha == report.recipe.alpha ? " *" : ""),
                 fmt::format("{:.6f}", point.kl), fmt::format("{:.3f}", point.bits_per_weight)});
    }
    fmt::print("{}\n", table.text());
  }
  fmt::print("{}: {} on disk, {:.2f}x smaller than {} ({})\n", options.destination.string(),
             format_bytes(report.stored_bytes), ratio(report.source_bytes, report.stored_bytes),
             options.source.string(), format_bytes(report.source_bytes));
  if (report.linear_weights > 0) {
    fmt::print(
        "linear layers: {:.3f} bits/weight, CR {:.3f} against INT8 (recipe {}, codec {}{}, sparsity "
        "{:.2f})\n",
        8 * ratio(report.linear_bytes, report.linear_weights),
        ratio(report.linear_weights, report.linear_bytes), report.recipe.name, report.recipe.codec,
        report.recipe.scaler == "none" ? "" : fmt::format(", alpha {:.2f}", report.recipe.alpha),
        report.recipe.sparsity);
    if (report.kl) {
      fmt::print("KL divergence on the calibration text: {:.6f} nats per token{}\n", *report.kl,
                 *report.kl > options.max_kl
                     ? fmt::format(", above the {} that --max-kl allows", options.max_kl)
                     : "");
    }
  }
  fmt::print("calibrated on {} tokens; took {}\n", report.calibration_tokens,
             format_duration(report.seconds));
}

void print_json(const CompressReport& report, const CompressOptions& options) {
  Json alphas = Json::array();
  for (const AlphaPoint& point : report.alphas) {
    alphas.push_back(
        {{"alpha", point.alpha}, {"kl", point.kl}, {"entropy_bits_per_weight", point.bits_per_weight}});
  }
  const Json json = {{"source", options.source.string()},
                     {"destination", options.destination.string()},
                     {"recipe", report.recipe.to_json()},
                     {"alphas", alphas},
                     {"calibration_tokens", report.calibration_tokens},
                     {"calibration_kl", report.kl ? Json(*report.kl) : Json()},
                     {"parameters", report.parameters},
                     {"linear_weights", report.linear_weights},
                     {"linear_bytes", report.linear_bytes},
                     {"linear_bits_per_weight", 8 * ratio(report.linear_bytes, report.linear_weights)},
                     {"linear_cr", ratio(report.linear_weights, report.linear_bytes)},
                     {"source_bytes", report.source_bytes},
                     {"stored_bytes", report.stored_bytes},
                     {"seconds", report.seconds}};
  fmt::print("{}\n", json.dump(2));
}

/// The recipe, and over it what the command line says.
void apply_flags(const Flags& flags, CompressOptions& options) {
  // The flags that only dc knows ask for it.
  const bool of_dc = flags.recipe.empty() && (flags.alpha || flags.sparsity);
  if (!of_dc) options.recipe = load_recipe(flags.recipe.empty() ? "best" : flags.recipe);
  Recipe& recipe = options.recipe;
  if (flags.alpha) parse_alpha(*flags.alpha, options);
  if (flags.sparsity) recipe.sparsity = *flags.sparsity;
  if (flags.activations) recipe.activations = parse_activation_mode(*flags.activations);
  if (flags.codec) recipe.codec = *flags.codec;
  recipe.skip.insert(recipe.skip.end(), flags.skip.begin(), flags.skip.end());
  options.max_shard_bytes = parse_size(flags.shard_size, "--max-shard-size");
  check(recipe);
  const bool rated = find_quantizer(recipe.quantizer).rated;
  if (!rated && (flags.bits || flags.size)) {
    throw UsageError(fmt::format("{}: not with the recipe {}, whose rate follows from its steps",
                                 flags.bits ? "--bits" : "--size", recipe.name));
  }
  if (rated && (flags.bits ? 1 : 0) + (flags.size ? 1 : 0) + (flags.max_kl ? 1 : 0) > 1) {
    throw UsageError("--bits, --size, --max-kl: expected one of them");
  }
  constexpr std::int64_t kMomentTokens = 16384;  // cols^2 numbers want more than cols do
  options.calibration.tokens =
      flags.tokens.value_or(needs_moments(recipe) ? kMomentTokens : options.calibration.tokens);
  if (flags.bits) recipe.bits = *flags.bits;
  if (flags.size) options.target_bytes = parse_size(*flags.size, "--size");
  if (flags.max_kl) {
    if (rated && !(*flags.max_kl > 0)) throw UsageError("--max-kl: expected a number above 0");
    recipe.bits = 0;
    options.max_kl = *flags.max_kl;
  }
}

void compress(Flags& flags) {
  if (!flags.plan.empty()) flags.options.plan = read_codec_plan(flags.plan);
  apply_flags(flags, flags.options);
  const CompressReport report = compress_model(flags.options);
  if (flags.json) {
    print_json(report, flags.options);
  } else {
    print_text(report, flags.options);
  }
}

}  // namespace

void add_compress_command(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  CompressOptions& options = flags->options;
  CLI::App* command = app.add_subcommand("compress", "Compress a Hugging Face model directory");
  command
      ->add_option("SRC", options.source,
                   "Model directory: config.json, tokenizer, safetensors (F32, F16 or BF16)")
      ->required();
  command->add_option("DST", options.destination, "Directory to create; must not exist")->required();
  command
      ->add_option("--calibration", options.calibration.source,
                   "Text file to calibrate on, or self: text sampled from the model")
      ->capture_default_str();
  command->add_option("--calibration-tokens", flags->tokens, "About how many tokens to calibrate on")
      ->default_str("2048, or 16384 for recipes with second moments")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 24));
  command->add_option("--seed", options.calibration.seed, "Seed of the sampled calibration text")
      ->capture_default_str();
  command->add_option("--recipe", flags->recipe, "Name of a recipe, or a file (docs/recipes.md)")
      ->default_str("best, or dc with --alpha or --sparsity");
  command
      ->add_option("--bits", flags->bits,
                   "Bits per weight of the linear layers after coding, for recipes with a rate, in place of "
                   "--max-kl")
      ->check(CLI::Range(0.5, 8.0));
  command->add_option("--size", flags->size,
                      "Size of the whole directory, such as 4GB, in place of --max-kl");
  command
      ->add_option("--max-kl", flags->max_kl,
                   "Largest mean KL divergence (nats per token) on the calibration text, for recipes with a "
                   "rate and --alpha auto")
      ->default_str(fmt::format("{}", options.max_kl))
      ->check(CLI::NonNegativeNumber);
  command
      ->add_option("--alpha", flags->alpha,
                   "Exponent of the per-channel scale, 0 to 1; or auto: the best ratio under --max-kl")
      ->default_str("0.9");
  command
      ->add_option("--sparsity", flags->sparsity,
                   "Share of each linear layer's weights to set to zero, 0 to below 1")
      ->default_str("0");
  command->add_option("--activations", flags->activations, "How inputs of linear layers are quantized")
      ->default_str("per-token")
      ->check(CLI::IsMember({"per-token", "per-tensor-static", "none"}));
  CLI::Option* codec = command->add_option("--codec", flags->codec, codec_help())->default_str("ans");
  command->add_option("--plan", flags->plan, "Codec of each tensor, from a file that `plan -o` wrote")
      ->excludes(codec);
  command->add_option("--skip", flags->skip,
                      "Leave tensors whose name matches this shell pattern as they are (repeatable)");
  command->add_option("--statistics", options.statistics,
                      "Save the calibration statistics to this safetensors file");
  command->add_option("--max-shard-size", flags->shard_size, "Largest weight file")->capture_default_str();
  command->add_option("-t,--threads", options.threads, "Threads; 0: one per core")
      ->capture_default_str()
      ->check(CLI::Range(0, 1024));
  command->add_flag("--json", flags->json, "Print the result as JSON");
  command->callback([flags] { compress(*flags); });
}

}  // namespace twofold
