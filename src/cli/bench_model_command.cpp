#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/cpu.h"
#include "base/error.h"
#include "base/json.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/device_flag.h"
#include "cli/memory_flags.h"
#include "cli/table.h"
#include "cli/thread_flags.h"
#include "eval/model_bench.h"
#include "kernels/cuda/device.h"

namespace twofold {

namespace {

struct Flags {
  std::string model;
  ModelBenchOptions options;
  ThreadFlags threads;
  MemoryFlags memory;
  std::string device = "cpu";
  bool json = false;
};

/// Bytes of weights read in a second: each pass reads them once and yields a token per sequence.
double weight_rate(const ModelBench& bench, const Throughput& decode) {
  return static_cast<double>(bench.weight_bytes_per_pass) * decode.median() /
         static_cast<double>(decode.sequences);
}

void add_row(Table& table, const char* name, const Throughput& figures, const std::string& rate) {
  const auto [low, high] =
      std::minmax_element(figures.tokens_per_second.begin(), figures.tokens_per_second.end());
  table.add({name, fmt::format("{}", figures.tokens), fmt::format("{}", figures.sequences),
             fmt::format("{:.2f}", figures.median()), fmt::format("{:.2f}", figures.deviation()),
             fmt::format("{:.2f}", *low), fmt::format("{:.2f}", *high), rate,
             figures.linear_share ? fmt::format("{:.1f}", 100 * *figures.linear_share) : ""});
}

void print_text(const ModelBench& bench, const Flags& flags, const std::string& device) {
  Table table(
      {"test", "tokens", "sequences", "tokens/s", "+-", "min", "max", "weights GB/s", "in linears %"});
  for (const Throughput& figures : bench.prefill) add_row(table, "prefill", figures, "");
  for (const Throughput& figures : bench.decode) {
    add_row(table, "decode", figures, fmt::format("{:.2f}", weight_rate(bench, figures) / 1e9));
  }
  fmt::print("{}\nmedian of {}, {}; weights read per pass: {}; peak RSS: {}\n", table.text(),
             flags.options.repetitions, device, format_bytes(bench.weight_bytes_per_pass),
             format_bytes(bench.peak_rss_bytes));
}

Json row(const Throughput& figures) {
  return {{"tokens", figures.tokens},
          {"sequences", figures.sequences},
          {"tokens_per_second", figures.median()},
          {"tokens_per_second_deviation", figures.deviation()},
          {"tokens_per_second_each", figures.tokens_per_second},
          {"linear_share", figures.linear_share ? Json(*figures.linear_share) : Json(nullptr)}};
}

/// `device`: what says where it ran.
void print_json(const ModelBench& bench, const Flags& flags, const Json& device) {
  Json decode = Json::array();
  for (const Throughput& figures : bench.decode) {
    decode.push_back(row(figures));
    decode.back()["weight_bytes_per_second"] = weight_rate(bench, figures);
  }
  Json json = {{"model", flags.model},
               {"repetitions", flags.options.repetitions},
               {"prefill", bench.prefill.empty() ? Json(nullptr) : row(bench.prefill[0])},
               {"decode", decode},
               {"weight_bytes_per_pass", bench.weight_bytes_per_pass},
               {"peak_rss_bytes", bench.peak_rss_bytes}};
  json.update(device);
  fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
}

void run(Flags& flags, bool prompt_given, bool count_given) {
  // The defaults are for any model; a number that was asked for is taken at its word.
  const std::int64_t context = load_model_spec(flags.model).max_positions;
  if (!prompt_given) flags.options.prompt = std::min(flags.options.prompt, context);
  if (!count_given) flags.options.generate = std::min(flags.options.generate, context);
  if (flags.device == "cuda") {
    check_gpu_device(flags.memory);
    GpuModel::Options options;
    options.context = std::max<std::int64_t>({flags.options.prompt, flags.options.generate, 1});
    GpuModel model(flags.model, options);
    const ModelBench bench = bench_model(model, flags.options);
    if (flags.json) {
      print_json(bench, flags, {{"device", gpus()[0].name}});
    } else {
      print_text(bench, flags, gpus()[0].name);
    }
    return;
  }
  Model model(flags.model, {.threads = flags.threads.threads,
                            .cpus = flags.threads.cpu_list(),
                            .memory = flags.memory.options(memory_use(flags.options))});
  const ModelBench bench = bench_model(model, flags.options);
  const int threads = model.workspace().pool().size();
  if (flags.json) {
    print_json(bench, flags, {{"threads", threads}, {"isa", isa_name(active_isa())}});
  } else {
    print_text(bench, flags, fmt::format("{} threads, {}", threads, isa_name(active_isa())));
    if (model.memory()) fmt::print("{}\n", describe(*model.memory()));
  }
}

}  // namespace

void add_model_bench(CLI::App& bench) {
  auto flags = std::make_shared<Flags>();
  ModelBenchOptions& options = flags->options;
  const CLI::Option* model =
      bench.add_option("-m,--model", flags->model, "Model directory, original or Twofold: measures passes");
  const CLI::Option* prompt =
      bench.add_option("-p,--prompt", options.prompt, "Tokens of the prompt pass; 0: none")
          ->capture_default_str()
          ->check(CLI::NonNegativeNumber);
  const CLI::Option* count = bench.add_option("-n,--predict", options.generate, "Token passes; 0: none")
                                 ->capture_default_str()
                                 ->check(CLI::NonNegativeNumber);
  bench.add_option("-b,--batch", options.sequences, "Sequences decoded side by side: a list, as 1,4,16")
      ->delimiter(',')
      ->capture_default_str()
      ->check(CLI::Range(1, 4096));
  flags->threads.add_to(bench);
  flags->memory.add_to(bench);
  add_device_flag(bench, flags->device);
  bench.add_option("--repetitions", options.repetitions, "Times that each is measured; the median counts")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  bench.add_flag("--json", flags->json, "Print as JSON");
  bench.callback([flags, &bench, model, prompt, count] {
    if (!bench.get_subcommands().empty()) return;
    if (model->count() == 0) throw UsageError("bench: expected -m DIR or a subcommand");
    run(*flags, prompt->count() > 0, count->count() > 0);
  });
}

}  // namespace twofold
