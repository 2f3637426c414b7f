#include <fmt/core.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "base/cpu.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/table.h"
#include "codec/codec_bench.h"
#include "eval/model_weights.h"

namespace twofold {

namespace {

struct Flags {
  std::string model;
  BenchOptions options{.weights_per_chunk = 1 << 16, .repetitions = 5};  // chunks as the container cuts them
  bool json = false;
};

void print_text(const std::vector<CodecFigures>& figures) {
  Table table({"codec", "bytes", "CR", "bits/w", "over entropy %", "encode GB/s", "decode GB/s"});
  for (const CodecFigures& f : figures) {
    table.add({f.name, fmt::format("{}", f.coded_bytes), fmt::format("{:.3f}", f.compression_ratio()),
               fmt::format("{:.3f}", f.bits_per_weight()), fmt::format("{:+.2f}", 100 * f.over_entropy()),
               fmt::format("{:.3f}", f.encode_bytes_per_second / 1e9),
               fmt::format("{:.3f}", f.decode_bytes_per_second / 1e9)});
  }
  const CodecFigures& any = figures.front();
  table.add({"order-0 entropy", "", fmt::format("{:.3f}", 8 / any.entropy_bits_per_weight),
             fmt::format("{:.3f}", any.entropy_bits_per_weight), "", "", ""});
  fmt::print("{}\n{} INT8 weights, one thread, {}\n", table.text(), any.weights, isa_name(active_isa()));
}

void print_json(const std::vector<CodecFigures>& figures) {
  Json rows = Json::array();
  for (const CodecFigures& f : figures) {
    rows.push_back({{"codec", f.name},
                    {"coded_bytes", f.coded_bytes},
                    {"cr", f.compression_ratio()},
                    {"bits_per_weight", f.bits_per_weight()},
                    {"over_entropy", f.over_entropy()},
                    {"encode_bytes_per_second", f.encode_bytes_per_second},
                    {"decode_bytes_per_second", f.decode_bytes_per_second}});
  }
  const Json json = {{"weights", figures.front().weights},
                     {"entropy_bits_per_weight", figures.front().entropy_bits_per_weight},
                     {"isa", isa_name(active_isa())},
                     {"codecs", rows}};
  fmt::print("{}\n", json.dump(2));
}

}  // namespace

void add_bench_command(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  CLI::App* bench = app.add_subcommand("bench", "Measure speed on this machine");
  bench->require_subcommand(0, 1);
  add_model_bench(*bench);
  add_kernel_bench(*bench);
  CLI::App* command =
      bench->add_subcommand("codecs", "Ratio and speed of every codec on a model's INT8 weights");
  command->add_option("-m,--model", flags->model, "Model directory, original or Twofold")->required();
  command
      ->add_option("--repetitions", flags->options.repetitions, "Decodings of each matrix; the median counts")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  command->add_flag("--json", flags->json, "Print as JSON");
  command->callback([flags] {
    const auto figures = measure_codecs(codecs(), int8_weights(flags->model), flags->options);
    if (flags->json) {
      print_json(figures);
    } else {
      print_text(figures);
    }
  });
}

}  // namespace twofold
