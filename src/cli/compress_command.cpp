#include <fmt/core.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/size_text.h"
#include "cli/table.h"
#include "compress/compress.h"

namespace twofold {

namespace {

struct Flags {
  CompressOptions options;
  std::string alpha = "0.9";
  std::string activations = "per-token";
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
        "linear layers: {:.3f} bits/weight, CR {:.3f} against INT8 (codec {}, alpha {:.2f}, sparsity "
        "{:.2f})\n",
        8 * ratio(report.linear_bytes, report.linear_weights),
        ratio(report.linear_weights, report.linear_bytes), report.recipe.codec, report.recipe.alpha,
        report.recipe.sparsity);
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

void compress(Flags& flags) {
  parse_alpha(flags.alpha, flags.options);
  flags.options.max_shard_bytes = parse_size(flags.shard_size, "--max-shard-size");
  if (!flags.plan.empty()) flags.options.plan = read_codec_plan(flags.plan);
  flags.options.recipe.activations = parse_activation_mode(flags.activations);
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
  command
      ->add_option("--calibration-tokens", options.calibration.tokens,
                   "About how many tokens to calibrate on")
      ->capture_default_str()
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 24));
  command->add_option("--seed", options.calibration.seed, "Seed of the sampled calibration text")
      ->capture_default_str();
  command
      ->add_option("--alpha", flags->alpha,
                   "Exponent of the per-channel scale, 0 to 1; or auto: the best ratio under --max-kl")
      ->capture_default_str();
  command
      ->add_option("--max-kl", options.max_kl,
                   "Largest mean KL divergence (nats per token) --alpha auto may cause")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  command
      ->add_option("--sparsity", options.recipe.sparsity,
                   "Share of each linear layer's weights to set to zero, 0 to below 1")
      ->capture_default_str();
  command->add_option("--activations", flags->activations, "How inputs of linear layers are quantized")
      ->capture_default_str()
      ->check(CLI::IsMember({"per-token", "per-tensor-static", "none"}));
  CLI::Option* codec =
      command->add_option("--codec", options.recipe.codec, codec_help())->capture_default_str();
  command->add_option("--plan", flags->plan, "Codec of each tensor, from a file that `plan -o` wrote")
      ->excludes(codec);
  command->add_option("--skip", options.recipe.skip,
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
