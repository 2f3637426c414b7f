#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/size_text.h"
#include "compress/transcode.h"

namespace twofold {

namespace {

struct Flags {
  TranscodeOptions options;
  std::string codec;
  std::string plan;
  std::string shard_size = "5GB";
  bool json = false;
};

double bits(std::uint64_t bytes, std::uint64_t weights) {
  return 8 * static_cast<double>(bytes) / static_cast<double>(std::max<std::uint64_t>(weights, 1));
}

void print_text(const TranscodeReport& report, const TranscodeOptions& options) {
  fmt::print("{}: {} on disk, {} before\n", options.destination.string(), format_bytes(report.stored_bytes),
             format_bytes(report.source_bytes));
  fmt::print("{} coded tensors: {:.3f} bits/weight, {:.3f} before; took {}\n", report.coded_tensors,
             bits(report.bytes_after, report.weights), bits(report.bytes_before, report.weights),
             format_duration(report.seconds));
}

void print_json(const TranscodeReport& report, const TranscodeOptions& options) {
  const Json json = {{"source", options.source.string()},
                     {"destination", options.destination.string()},
                     {"coded_tensors", report.coded_tensors},
                     {"weights", report.weights},
                     {"coded_bytes_before", report.bytes_before},
                     {"coded_bytes", report.bytes_after},
                     {"source_bytes", report.source_bytes},
                     {"stored_bytes", report.stored_bytes},
                     {"seconds", report.seconds}};
  fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
}

void transcode(Flags& flags) {
  TranscodeOptions& options = flags.options;
  options.max_shard_bytes = parse_size(flags.shard_size, "--max-shard-size");
  if (flags.codec.empty() == flags.plan.empty())
    throw UsageError("transcode: expected either --codec NAME or --plan FILE");
  if (!flags.plan.empty()) {
    options.plan = read_codec_plan(flags.plan);
  } else {
    try {
      find_codec(flags.codec);
    } catch (const Error& error) {
      throw UsageError(fmt::format("--codec: {}", error.what()));
    }
    options.plan.codec = flags.codec;
  }
  const TranscodeReport report = transcode_model(options);
  if (flags.json) {
    print_json(report, options);
  } else {
    print_text(report, options);
  }
}

}  // namespace

void add_transcode_command(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command =
      app.add_subcommand("transcode", "Store the integers of a Twofold directory in another codec");
  command->add_option("SRC", flags->options.source, "Twofold directory")->required();
  command->add_option("DST", flags->options.destination, "Directory to create; must not exist")->required();
  command->add_option("--codec", flags->codec, "Codec of every coded tensor");
  command->add_option("--plan", flags->plan, "Codec of each tensor, from a file that `plan -o` wrote");
  command->add_option("--max-shard-size", flags->shard_size, "Largest weight file")->capture_default_str();
  command->add_option("-t,--threads", flags->options.threads, "Threads; 0: one per core")
      ->capture_default_str()
      ->check(CLI::Range(0, 1024));
  command->add_flag("--json", flags->json, "Print the result as JSON");
  command->callback([flags] { transcode(*flags); });
}

}  // namespace twofold
