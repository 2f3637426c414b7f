#include <fmt/core.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/progress.h"
#include "base/thread_pool.h"
#include "cli/command.h"
#include "cli/table.h"
#include "cli/thread_flags.h"
#include "eval/gpu_bench.h"
#include "eval/kernel_bench.h"
#include "eval/model_weights.h"
#include "kernels/cuda/device.h"

namespace twofold {

namespace {

struct Flags {
  std::string model;
  std::vector<double> entropies = {3.6};
  std::vector<std::string> shapes = {"4096x4096"};
  double spread = 0;
  std::vector<std::string> codecs = {"packed", "tiered", "ans", "ans8"};
  std::vector<std::string> isas;
  std::vector<int> threads;
  KernelBenchOptions options;
  double gibibytes = 1;
  std::string device = "cpu";
  bool json = false;
};

/// One set of matrices to measure, and how to name it.
struct Source {
  std::string name;
  std::vector<KernelBenchMatrix> matrices;
};

std::pair<std::int64_t, std::int64_t> parse_shape(const std::string& text) {
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  char times = 0;
  char rest = 0;
  // NOLINTNEXTLINE(cert-err34-c): the bounds below refuse what overflows
  const int found = std::sscanf(text.c_str(), "%7ld%c%7ld%c", &rows, &times, &cols, &rest);
  if (found != 3 || times != 'x' || rows < 1 || cols < 1 || cols > 131072) {
    throw UsageError(fmt::format("--shape {}: expected ROWSxCOLUMNS, at most 131072 columns", text));
  }
  return {rows, cols};
}

std::vector<KernelBenchMatrix> model_matrices(const std::string& model) {
  // Some of the matrices are enough: they are repeated anyway.
  constexpr std::size_t kEnough = std::size_t{1} << 28;
  std::vector<KernelBenchMatrix> matrices;
  std::size_t size = 0;
  int8_weights(model)([&](const BenchMatrix& matrix) {
    if (size >= kEnough || matrix.weights.empty()) return;
    matrices.push_back({.weights = {matrix.weights.begin(), matrix.weights.end()},
                        .rows = static_cast<std::int64_t>(matrix.weights.size()) / matrix.cols,
                        .cols = matrix.cols});
    size += matrix.weights.size();
  });
  return matrices;
}

std::vector<Source> make_sources(const Flags& flags) {
  std::vector<Source> sources;
  if (!flags.model.empty()) {
    sources.push_back({flags.model, model_matrices(flags.model)});
    return sources;
  }
  for (const std::string& text : flags.shapes) {
    const auto [rows, cols] = parse_shape(text);
    for (const double bits : flags.entropies) {
      sources.push_back({fmt::format("gauss, {}", text), {}});
      sources.back().matrices.push_back(gaussian_matrix(rows, cols, bits, flags.spread, sources.size()));
    }
  }
  return sources;
}

/// What both devices' tables say of a product, after what they call it.
const std::vector<std::string> kRateColumns = {"tokens",       "bits/w", "over entropy %",
                                               "weights GB/s", "x raw",  "of bandwidth"};

std::vector<std::string> rate_cells(const KernelFigures& f) {
  return {fmt::format("{}", f.tokens),
          fmt::format("{:.3f}", f.bits_per_weight),
          fmt::format("{:+.2f}", 100 * f.over_entropy),
          fmt::format("{:.2f}", f.weights_per_second / 1e9),
          fmt::format("{:.2f}", f.over_raw),
          fmt::format("{:.2f}", f.of_bandwidth)};
}

std::vector<std::string> joined(std::vector<std::string> cells, const std::vector<std::string>& more) {
  cells.insert(cells.end(), more.begin(), more.end());
  return cells;
}

Json rates_json(const KernelFigures& f) {
  return {{"codec", f.codec},
          {"tokens", f.tokens},
          {"bits_per_weight", f.bits_per_weight},
          {"over_entropy", f.over_entropy},
          {"weights_per_second", f.weights_per_second},
          {"over_raw", f.over_raw},
          {"of_bandwidth", f.of_bandwidth}};
}

void print_text(const Source& source, const KernelBench& bench, const KernelBenchOptions& options) {
  fmt::print("{}: entropy {:.3f} bits, {:.2f} GiB as INT8; read bandwidth", source.name,
             bench.entropy_bits_per_weight, static_cast<double>(bench.weights) / (1 << 30));
  for (std::size_t i = 0; i < options.threads.size(); ++i) {
    fmt::print("{} {:.2f} GB/s on {}", i == 0 ? "" : ",", bench.read_bytes_per_second[i] / 1e9,
               options.threads[i]);
  }
  fmt::print(" threads\n");
  Table table(joined({"codec", "isa", "threads"}, kRateColumns));
  for (const KernelFigures& f : bench.figures) {
    table.add(joined({f.codec, std::string(isa_name(f.isa)), fmt::format("{}", f.threads)}, rate_cells(f)));
  }
  fmt::print("{}\n", table.text());
}

Json to_json(const Source& source, const KernelBench& bench, const KernelBenchOptions& options) {
  Json rows = Json::array();
  for (const KernelFigures& f : bench.figures) {
    Json& row = rows.emplace_back(rates_json(f));
    row["isa"] = isa_name(f.isa);
    row["threads"] = f.threads;
  }
  return {{"source", source.name},
          {"weights", bench.weights},
          {"entropy_bits_per_weight", bench.entropy_bits_per_weight},
          {"threads", options.threads},
          {"read_bytes_per_second", bench.read_bytes_per_second},
          {"kernels", rows}};
}

void print_text(const Source& source, const GpuBench& bench) {
  fmt::print("{}: entropy {:.3f} bits, {:.2f} GiB as INT8, on {}; a copy reads and writes {:.2f} GB/s\n",
             source.name, bench.entropy_bits_per_weight, static_cast<double>(bench.weights) / (1 << 30),
             bench.device, bench.copy_bytes_per_second / 1e9);
  Table table(joined({"codec"}, kRateColumns));
  for (const KernelFigures& f : bench.figures) table.add(joined({f.codec}, rate_cells(f)));
  fmt::print("{}\n", table.text());
}

Json to_json(const Source& source, const GpuBench& bench) {
  Json rows = Json::array();
  for (const KernelFigures& f : bench.figures) rows.push_back(rates_json(f));
  return {{"source", source.name},
          {"device", bench.device},
          {"weights", bench.weights},
          {"entropy_bits_per_weight", bench.entropy_bits_per_weight},
          {"copy_bytes_per_second", bench.copy_bytes_per_second},
          {"kernels", rows}};
}

Isa find_isa(const std::string& name) {
  std::string names;
  for (const Isa isa : available_isas()) {
    if (isa_name(isa) == name) return isa;
    names += (names.empty() ? "" : ", ") + std::string(isa_name(isa));
  }
  throw UsageError(fmt::format("--isa {}: this CPU runs {}", name, names));
}

void run(Flags& flags) {
  KernelBenchOptions& options = flags.options;
  for (const std::string& name : flags.codecs) options.codecs.push_back(&find_codec(name));
  for (const std::string& name : flags.isas) options.isas.push_back(find_isa(name));
  options.threads = flags.threads;
  if (options.threads.empty()) {
    options.threads.push_back(1);
    if (available_cores() > 1) options.threads.push_back(available_cores());
  }
  options.bytes = static_cast<std::uint64_t>(flags.gibibytes * (1 << 30));
  if (flags.device == "cuda") {
    // Before the matrices are made, which takes time.
    if (const std::string reason = why_no_gpu(); !reason.empty()) fail("--device cuda: {}", reason);
  }
  Json results = Json::array();
  for (const Source& source : make_sources(flags)) {
    Progress bar(fmt::format("Measuring {}", source.name), 1000);
    std::uint64_t shown = 0;
    const auto advance = [&](double done) {
      const auto now = static_cast<std::uint64_t>(1000 * done);
      bar.advance(now - shown);
      shown = now;
    };
    if (flags.device == "cuda") {
      const GpuBench bench = bench_gpu_kernels(source.matrices, options, advance);
      if (flags.json) {
        results.push_back(to_json(source, bench));
      } else {
        print_text(source, bench);
      }
      continue;
    }
    const KernelBench bench = bench_kernels(source.matrices, options, advance);
    if (flags.json) {
      results.push_back(to_json(source, bench, options));
    } else {
      print_text(source, bench, options);
    }
  }
  if (flags.json) fmt::print("{}\n", results.dump(2, ' ', false, Json::error_handler_t::replace));
}

}  // namespace

void add_kernel_bench(CLI::App& bench) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = bench.add_subcommand(
      "kernels", "Speed of products with coded weights, beside raw INT8 and read bandwidth");
  command->add_option("-m,--model", flags->model, "Take the INT8 weights of this model");
  command->add_option("--entropy", flags->entropies, "Without -m: Gaussian weights of so many bits, a list")
      ->delimiter(',')
      ->capture_default_str()
      ->check(CLI::Range(0.1, 7.8));
  command->add_option("--shape", flags->shapes, "Without -m: ROWSxCOLUMNS, a list")
      ->delimiter(',')
      ->capture_default_str();
  command
      ->add_option("--spread", flags->spread, "Without -m: deviation of the logarithm of the columns' scales")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 3.0));
  command->add_option("--codec", flags->codecs, "Codecs beside raw, a list")
      ->delimiter(',')
      ->capture_default_str();
  command->add_option("--isa", flags->isas, "Instruction sets, a list; default: the best one")
      ->delimiter(',');
  command->add_option("-t,--threads", flags->threads, "Numbers of threads, a list; default: 1 and all cores")
      ->delimiter(',')
      ->check(CLI::Range(1, 1024));
  command->add_option("-b,--batch", flags->options.tokens, "Activation vectors of one product, a list")
      ->delimiter(',')
      ->capture_default_str()
      ->check(CLI::Range(1, 4096));
  command->add_option("--size", flags->gibibytes, "GiB of INT8 weights, at least; beyond every cache")
      ->capture_default_str()
      ->check(CLI::Range(0.0001, 64.0));
  command
      ->add_option("--repetitions", flags->options.repetitions,
                   "Times that each is measured; the median counts")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  command->add_option("--device", flags->device, "cpu, or cuda: the first NVIDIA GPU, beside cuBLAS")
      ->capture_default_str()
      ->check(CLI::IsMember({"cpu", "cuda"}));
  command->add_flag("--json", flags->json, "Print as JSON");
  command->callback([flags, codecs = command->get_option("--codec")] {
    // ans8 has no kernels there.
    if (flags->device == "cuda" && codecs->count() == 0) flags->codecs = {"packed", "quad", "tiered", "ans"};
    run(*flags);
  });
}

}  // namespace twofold
