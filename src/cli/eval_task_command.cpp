#include <fmt/core.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/table.h"
#include "cli/thread_flags.h"
#include "eval/task_run.h"
#include "eval/tasks/registry.h"

namespace twofold {

namespace {

namespace fs = std::filesystem;

struct Flags {
  TaskKind kind = TaskKind::kCloze;
  std::string model;
  std::string reference;
  std::vector<fs::path> files;
  std::vector<fs::path> shots_from;
  std::string format;
  PromptOptions prompts;
  TaskRunOptions run;
  ThreadFlags threads;
  bool json = false;
};

struct Evaluation {
  Task task;
  std::vector<TaskPrompt> prompts;
  TaskResult result;
  std::optional<TaskResult> reference;
  std::vector<MetricDifference> differences;
};

TaskResult run(const std::string& directory, const Flags& flags, const Evaluation& evaluation,
               const std::string& label) {
  Model model(directory, {.threads = flags.threads.threads, .cpus = flags.threads.cpu_list()});
  Progress progress(label, evaluation.prompts.size());
  std::size_t shown = 0;
  return run_task(model, *load_tokenizer(directory), evaluation.task, evaluation.prompts, flags.run,
                  [&](std::size_t done) {
                    progress.advance(done - shown);
                    shown = done;
                  });
}

void print_metrics(const TaskResult& result) {
  for (const TaskMetric& metric : result.metrics)
    fmt::print("{:<11} {:.4f} +- {:.4f}\n", metric.name, metric.value, metric.error);
}

void print_text(const Evaluation& evaluation) {
  const TaskResult& result = evaluation.result;
  fmt::print("{}: {} items", evaluation.task.format->name, result.outcomes.size());
  if (result.chance > 0) fmt::print(", chance {:.4f}", result.chance);
  if (result.truncated > 0) fmt::print(", {} cut to the context", result.truncated);
  fmt::print("\n");
  if (result.sections.size() > 1) {
    std::vector<std::string> header = {"file", "items"};
    for (const TaskMetric& metric : result.metrics) header.push_back(metric.name);
    Table table(header);
    for (const TaskSectionResult& section : result.sections) {
      std::vector<std::string> row = {section.name, std::to_string(section.items)};
      for (const double value : section.values) row.push_back(fmt::format("{:.4f}", value));
      table.add(std::move(row));
    }
    fmt::print("{}", table.text());
  }
  print_metrics(result);
  if (!evaluation.reference) return;
  fmt::print("reference\n");
  print_metrics(*evaluation.reference);
  fmt::print("difference, paired bootstrap\n");
  for (const MetricDifference& d : evaluation.differences) {
    fmt::print("{:<11} {:+.4f} +- {:.4f}  (95 % from {:+.4f} to {:+.4f}, p {:.3f})\n", d.name, d.value,
               d.error, d.low, d.high, d.p);
  }
}

Json metrics_json(const TaskResult& result) {
  Json json = Json::object();
  for (const TaskMetric& metric : result.metrics) {
    json[metric.name] = metric.value;
    json[metric.name + "_error"] = metric.error;
  }
  return json;
}

void print_json(const Evaluation& evaluation) {
  const TaskResult& result = evaluation.result;
  Json json = metrics_json(result);
  json["format"] = evaluation.task.format->name;
  json["items"] = result.outcomes.size();
  json["truncated"] = result.truncated;
  if (result.chance > 0) json["chance"] = result.chance;
  json["files"] = Json::array();
  for (const TaskSectionResult& section : result.sections) {
    Json file = {{"name", section.name}, {"items", section.items}};
    for (std::size_t m = 0; m < result.metrics.size(); ++m) file[result.metrics[m].name] = section.values[m];
    json["files"].push_back(std::move(file));
  }
  if (evaluation.reference) {
    json["reference"] = metrics_json(*evaluation.reference);
    for (const MetricDifference& d : evaluation.differences) {
      json["difference"][d.name] = {
          {"value", d.value}, {"error", d.error}, {"low", d.low}, {"high", d.high}, {"p", d.p}};
    }
  }
  fmt::print("{}\n", json.dump(2));
}

void evaluate(const Flags& flags) {
  if (!flags.shots_from.empty() && flags.prompts.shots == 0) throw UsageError("--shots-from needs --shots");
  Evaluation evaluation;
  evaluation.task = load_task(flags.files, flags.kind, flags.format);
  std::optional<Task> shots_from;
  if (!flags.shots_from.empty())
    shots_from = load_task(flags.shots_from, flags.kind, evaluation.task.format->name);
  evaluation.prompts = make_prompts(evaluation.task, shots_from ? &*shots_from : nullptr, flags.prompts);
  evaluation.result = run(flags.model, flags, evaluation, "Evaluating");
  if (!flags.reference.empty()) {
    evaluation.reference = run(flags.reference, flags, evaluation, "Reference");
    evaluation.differences = paired_bootstrap(evaluation.result, *evaluation.reference);
  }
  if (flags.json) {
    print_json(evaluation);
  } else {
    print_text(evaluation);
  }
}

void add_kind(CLI::App& eval, TaskKind kind, const std::string& description) {
  auto flags = std::make_shared<Flags>();
  flags->kind = kind;
  CLI::App* command = eval.add_subcommand(std::string(name_of(kind)), description);
  command->add_option("-m,--model", flags->model, "Model directory, original or Twofold")->required();
  command->add_option("-f,--file", flags->files, "Task file, or a directory of them (repeatable)")
      ->required();
  std::string formats;
  for (const TaskFormat* format : task_formats())
    if (format->kind == kind) formats += (formats.empty() ? "" : ", ") + std::string(format->name);
  command->add_option("--format", flags->format,
                      "Format of the files, by default that of their fields: " + formats);
  command->add_option("--shots", flags->prompts.shots, "Solved examples before each question")
      ->capture_default_str()
      ->check(CLI::Range(0, 1000));
  command->add_option(
      "--shots-from", flags->shots_from,
      "File or directory of the examples (repeatable); default: the other items of the same file");
  command->add_option("--seed", flags->prompts.seed, "Seed of the choice of examples")->capture_default_str();
  command->add_option("--limit", flags->prompts.limit, "Use only the first items of each file; 0: all")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  command->add_option("--reference", flags->reference,
                      "Model directory to compare with on the same items, by a paired bootstrap");
  if (kind == TaskKind::kExtract) {
    command->add_option("--new-tokens", flags->run.new_tokens, "Tokens of the continuation, at most")
        ->capture_default_str()
        ->check(CLI::Range(1, 4096));
  }
  command->add_flag("--bos", flags->run.bos, "Put the model's BOS token before every prompt");
  flags->threads.add_to(*command);
  command->add_flag("--json", flags->json, "Print the result as JSON");
  command->callback([flags] { evaluate(*flags); });
}

}  // namespace

void add_task_eval(CLI::App& eval) {
  add_kind(eval, TaskKind::kCloze,
           "Last words: how often the greedy continuation is the target, and the target's perplexity");
  add_kind(eval, TaskKind::kChoice,
           "Multiple choice by log-likelihood, as it is (acc) and per character (acc_norm)");
  add_kind(eval, TaskKind::kExtract, "How often the greedy continuation contains the answer");
}

}  // namespace twofold
