#include <fmt/core.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/progress.h"
#include "base/thread_pool.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/size_text.h"
#include "cli/table.h"
#include "plan/model_timing.h"
#include "plan/pass_overhead.h"
#include "plan/plan_report.h"
#include "runtime/memory_budget.h"
#include "text/tokenizer.h"

namespace twofold {

namespace {

struct Flags {
  std::string model;
  std::string memory;
  double latency_ms = 0;
  std::string objective = "speed";
  PlannerOptions options;
  std::vector<std::string> codecs = {"packed", "tiered", "ans8", "ans"};
  std::string scheme_codec = "ans";
  std::filesystem::path profile;
  std::filesystem::path output;
  std::filesystem::path svg;
  bool profile_only = false;
  bool json = false;
};

double bits_per_weight(const Planner& planner, const Plan& plan) {
  double bytes = 0;
  double weights = 0;
  for (std::size_t i = 0; i < plan.size(); ++i) {
    const TensorCost& tensor = planner.model().tensors[i];
    bytes += static_cast<double>(tensor.bytes[plan[i].codec]);
    weights += static_cast<double>(tensor.weights());
  }
  return weights > 0 ? 8 * bytes / weights : 0;
}

std::string gigabytes(std::uint64_t bytes) {
  return fmt::format("{:.3f}", static_cast<double>(bytes) / 1e9);
}

void add_row(const Planner& planner, const std::string& name, const Plan& plan,
             const std::optional<Prediction>& prediction, double reference, Table& table) {
  if (!prediction) {
    table.add({name, fmt::format("{:.3f}", bits_per_weight(planner, plan)), "", "does not fit"});
    return;
  }
  table.add({name, fmt::format("{:.3f}", bits_per_weight(planner, plan)), gigabytes(prediction->stored_bytes),
             gigabytes(prediction->memory), fmt::format("{:.2f}", 1e3 * prediction->seconds),
             fmt::format("{:.2f}", prediction->tokens_per_second()),
             fmt::format("{:.2f}", reference / prediction->seconds), describe(planner, plan)});
}

std::string gap_text(const BestPlan& best, const char* what) {
  if (best.exact) return fmt::format("no plan has less {} by this model", what);
  return fmt::format("at most {:.2f} % above the least {} by this model", 100 * best.gap, what);
}

void print_text(const Planner& planner, const std::vector<PlanRow>& rows, const BestPlan& best,
                const Flags& flags) {
  const double raw = planner.predict(planner.uniform(planner.model().codec_index("raw"))).seconds;
  Table table({"plan", "bits/w", "stored GB", "memory GB", "ms/token", "tokens/s", "x raw", "tensors"});
  for (const PlanRow& row : rows) add_row(planner, row.name, row.plan, row.prediction, raw, table);
  add_row(planner, "chosen", best.plan, best.prediction, raw, table);
  std::string text = table.text();
  text += fmt::format(
      "\npredicted for one token at a time on {} threads with {} tokens in the caches; memory holds weights, "
      "caches and buffers\nchosen: {}\n",
      planner.threads(), flags.options.context,
      gap_text(best, flags.objective == "speed" ? "time" : "memory"));
  print_out(text);
}

Json row_json(const Planner& planner, const std::string& name, const Plan& plan,
              const std::optional<Prediction>& prediction) {
  Json row = {
      {"plan", name}, {"bits_per_weight", bits_per_weight(planner, plan)}, {"fits", prediction.has_value()}};
  if (!prediction) return row;
  row["seconds_per_token"] = prediction->seconds;
  row["tokens_per_second"] = prediction->tokens_per_second();
  row["compute_seconds"] = prediction->compute;
  row["io_seconds"] = prediction->io;
  row["stored_bytes"] = prediction->stored_bytes;
  row["memory_bytes"] = prediction->memory;
  row["streamed_bytes"] = prediction->streamed_bytes;
  row["tensors"] = describe(planner, plan);
  return row;
}

void print_json(const Planner& planner, const std::vector<PlanRow>& rows, const BestPlan& best,
                const Flags& flags) {
  Json plans = Json::array();
  for (const PlanRow& row : rows) plans.push_back(row_json(planner, row.name, row.plan, row.prediction));
  Json chosen = row_json(planner, "chosen", best.plan, best.prediction);
  chosen["gap"] = best.gap;
  chosen["exact"] = best.exact;
  const Json json = {{"model", flags.model},
                     {"cpu", planner.machine().cpu},
                     {"threads", planner.threads()},
                     {"context", flags.options.context},
                     {"objective", flags.objective},
                     {"plans", plans},
                     {"chosen", chosen}};
  print_out(json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

MachineProfile find_profile(const Flags& flags) {
  const std::filesystem::path path = flags.profile.empty() ? default_profile_path() : flags.profile;
  if (!std::filesystem::exists(path))
    fail("{}: no such file: this machine is not measured yet: run `twofold measure`", path.string());
  return load_profile(path);
}

/// Memory of a program that has opened the model, without its weights.
std::uint64_t opened_memory(const std::string& directory, int threads) {
  if (!Container::is_container(directory)) return 0;  // refused later
  const Container container(directory);
  std::unique_ptr<Tokenizer> tokenizer;
  try {
    tokenizer = load_tokenizer(directory);
  } catch (const Error&) {
    // A model without one can be measured, if not run.
  }
  return process_memory(threads);
}

void plan(const Flags& flags) {
  std::optional<std::uint64_t> memory;
  if (!flags.memory.empty()) memory = parse_size(flags.memory, "--memory");
  std::optional<double> seconds;
  if (flags.latency_ms > 0) seconds = flags.latency_ms / 1e3;
  if (seconds && flags.objective == "speed")
    throw UsageError("--latency: is a limit for --objective size; the objective speed takes --memory");
  if (memory && flags.objective == "size")
    throw UsageError("--memory: is a limit for --objective speed; the objective size takes --latency");
  std::vector<std::string> codecs = {"raw"};
  for (const std::string& codec : flags.codecs) {
    if (codec != "raw") codecs.push_back(codec);
  }
  if (std::find(codecs.begin(), codecs.end(), flags.scheme_codec) == codecs.end())
    throw UsageError(fmt::format("--scheme-codec: {} is not among --codecs", flags.scheme_codec));
  MachineProfile machine = find_profile(flags);
  const int threads = machine.nearest_threads(flags.options.threads);
  PlannerOptions options = flags.options;
  options.process = opened_memory(flags.model, threads);
  Progress bar("Planning", 1000);
  std::uint64_t shown = 0;
  const auto show = [&](double done) {
    const auto now = static_cast<std::uint64_t>(1000 * done);
    bar.advance(now - shown);
    shown = now;
  };
  const double sizes = flags.profile_only ? 1 : 0.5;  // of the work
  ModelCosts model = [&] {
    ThreadPool pool(flags.options.threads);
    return load_model_costs(flags.model, codecs, pool, [&](double done) { show(sizes * done); });
  }();
  if (!flags.profile_only)
    time_model(model, machine, threads, [&](double done) { show(sizes + (1 - sizes) * done); });
  const double overhead = measure_pass_overhead(model.spec, threads, flags.options.context);
  const Planner planner(std::move(model), std::move(machine), options, overhead);
  const std::vector<PlanRow> rows = common_plans(planner, flags.scheme_codec, memory);
  const BestPlan best = flags.objective == "speed" ? planner.fastest(memory) : planner.smallest(seconds);
  if (!flags.output.empty()) save_plan(planner, best, flags.output);
  if (!flags.svg.empty()) {
    std::filesystem::remove(flags.svg);
    write_file(flags.svg, memory_plot(planner));
  }
  if (flags.json) {
    print_json(planner, rows, best, flags);
  } else {
    print_text(planner, rows, best, flags);
  }
}

}  // namespace

void add_plan_command(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand(
      "plan", "Predict speed and memory of ways to code a model on this machine, and choose one");
  command->add_option("-m,--model", flags->model, "Twofold directory, in any codec")->required();
  command->add_option("--memory", flags->memory, "All memory there is, as 6GB: choose the fastest within it");
  command->add_option("--latency", flags->latency_ms, "With --objective size: most milliseconds of a token")
      ->check(CLI::PositiveNumber);
  command->add_option("--objective", flags->objective, "speed: least time; size: least memory")
      ->capture_default_str()
      ->check(CLI::IsMember({"speed", "size"}));
  command->add_option("-c,--context", flags->options.context, "Tokens in the caches")
      ->capture_default_str()
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 30));
  command->add_option("-t,--threads", flags->options.threads, "Threads; 0: one per core")
      ->capture_default_str()
      ->check(CLI::Range(0, 1024));
  command->add_option("--codecs", flags->codecs, "Codecs to choose from beside raw, a list")
      ->delimiter(',')
      ->capture_default_str();
  command->add_option("--scheme-codec", flags->scheme_codec, "Codec of the rows `1 in N`")
      ->capture_default_str();
  command->add_option("--profile", flags->profile, "File of `measure`, in place of the one in the cache");
  command->add_flag("--profile-only", flags->profile_only,
                    "Predict from the profile alone, without timing products of the model's own weights");
  command->add_option("-o,--output", flags->output, "Write the chosen plan for compress, transcode and run");
  command->add_option("--svg", flags->svg, "Draw tokens/s over memory, compressed and not");
  command->add_flag("--json", flags->json, "Print as JSON");
  command->callback([flags] { plan(*flags); });
}

}  // namespace twofold
