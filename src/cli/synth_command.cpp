#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/progress.h"
#include "cli/command.h"
#include "compress/synth.h"
#include "compress/synth_shapes.h"

namespace twofold {

namespace {

struct Flags {
  SynthOptions options;
  std::string dtype = "int8";
  std::string recipe = "dc";
  bool json = false;
};

double ratio(std::uint64_t a, std::uint64_t b) {
  return static_cast<double>(a) / static_cast<double>(std::max<std::uint64_t>(b, 1));
}

void print_text(const SynthReport& report, const SynthOptions& options) {
  fmt::print("{}: {} parameters, {} on disk\n", options.destination.string(), report.parameters,
             format_bytes(report.stored_bytes));
  if (report.linear_weights > 0) {
    fmt::print("linear layers: {:.3f} bits/weight, order-0 entropy {:.3f} (codec {})\n",
               8 * ratio(report.linear_bytes, report.linear_weights), report.linear_entropy, options.codec);
  }
  fmt::print("took {}, {:.0f} M weights/s; peak RSS {}\n", format_duration(report.seconds),
             static_cast<double>(report.parameters) / 1e6 / std::max(report.seconds, 1e-9),
             format_bytes(peak_rss_bytes()));
}

void print_json(const SynthReport& report, const SynthOptions& options) {
  Json json = {{"destination", options.destination.string()},
               {"parameters", report.parameters},
               {"stored_bytes", report.stored_bytes},
               {"seconds", report.seconds},
               {"peak_rss_bytes", peak_rss_bytes()}};
  if (report.linear_weights > 0) {
    json["linear_weights"] = report.linear_weights;
    json["linear_bytes"] = report.linear_bytes;
    json["linear_bits_per_weight"] = 8 * ratio(report.linear_bytes, report.linear_weights);
    json["linear_entropy"] = report.linear_entropy;
  }
  fmt::print("{}\n", json.dump(2));
}

}  // namespace

void add_synth_command(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  SynthOptions& options = flags->options;
  CLI::App* command = app.add_subcommand(
      "synth", "Write a model of a real one's shape with random weights, to measure speed and memory");
  command->add_option("DST", options.destination, "Directory to create; must not exist")->required();
  command
      ->add_option("--like", options.like, "A model directory, a config.json, or one of " + published_names())
      ->required();
  command->add_option("--layers", options.layers, "Layers instead of the model's own number");
  command->add_option("--dtype", flags->dtype, "int8: a Twofold directory; bf16: an original")
      ->capture_default_str()
      ->check(CLI::IsMember({"int8", "bf16"}));
  const CLI::Option* codec =
      command->add_option("--codec", options.codec, "Lossless codec of the INT8 weights")
          ->capture_default_str();
  const CLI::Option* recipe =
      command
          ->add_option(
              "--recipe-like", flags->recipe,
              "Integers as stage one makes them: dc (scaled by the activations), tensor (a free step "
              "per tensor), channel (a free step per channel)")
          ->capture_default_str()
          ->check(CLI::IsMember({"dc", "tensor", "channel"}));
  const CLI::Option* entropy = command->add_option(
      "--entropy", options.entropy, "Order-0 bits per weight of the linear layers; sets the step");
  command->add_option("--seed", options.seed, "The same seed gives the same model")->capture_default_str();
  command->add_option("-t,--threads", options.threads, "Threads; 0: one per core")
      ->capture_default_str()
      ->check(CLI::Range(0, 1024));
  command->add_flag("--json", flags->json, "Print the result as JSON");
  command->callback([flags, codec, recipe, entropy] {
    flags->options.bf16 = flags->dtype == "bf16";
    flags->options.recipe = parse_synth_recipe(flags->recipe);
    if (flags->options.bf16 && codec->count() + recipe->count() + entropy->count() > 0) {
      throw UsageError("--dtype bf16: --codec, --recipe-like and --entropy are for INT8 weights");
    }
    const SynthReport report = synthesize_model(flags->options);
    if (flags->json) {
      print_json(report, flags->options);
    } else {
      print_text(report, flags->options);
    }
  });
}

}  // namespace twofold
