#include <fmt/core.h>

#include <memory>

#include "cli/command.h"
#include "eval/lab/lab.h"
#include "eval/lab/suites.h"

namespace twofold {

namespace {

void run(const LabOptions& options) {
  const LabReport report = run_lab(options);
  fmt::print("{} points, {} measured now\n{}\n{}\n{}\n", report.points, report.measured, report.html.string(),
             report.csv.string(), report.json.string());
}

}  // namespace

void add_lab_command(CLI::App& app) {
  auto options = std::make_shared<LabOptions>();
  options->perplexity.max_tokens = 8192;
  CLI::App* command =
      app.add_subcommand("lab", "Run a grid of recipes on a model; tables and plots of size and quality");
  command->add_option("-m,--model", options->model, "Model directory, an original")->required();
  command->add_option("-o,--out", options->out, "Directory of the results; a run goes on where one stopped")
      ->required();
  command->add_option("-f,--file", options->text, "Text for perplexity and KL divergence")->required();
  std::string names;
  for (const LabSuite& suite : lab_suites()) names += std::string(suite.name) + ", ";
  command->add_option("--suite", options->suites, "What to measure (repeatable): " + names + "or all");
  command
      ->add_option("--search", options->search,
                   "Find the best pair of pruning and bit width at this theoretical compression rate")
      ->check(CLI::Range(0.0, 1.0));
  command
      ->add_option("--calibration", options->calibration.source,
                   "Text file to calibrate on, or self: text sampled from the model")
      ->capture_default_str();
  command
      ->add_option("--calibration-tokens", options->calibration.tokens,
                   "About how many tokens to calibrate on")
      ->capture_default_str()
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 24));
  command
      ->add_option("-c,--context", options->perplexity.context,
                   "Tokens of a window; 0: the model's context, at most 2048")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  command
      ->add_option("--max-tokens", options->perplexity.max_tokens, "Use only the text's first tokens; 0: all")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  command->add_option("--task", options->tasks, "Task file to score too, see eval (repeatable)");
  command
      ->add_option("--task-limit", options->task_limit, "Use only the first items of each task file; 0: all")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  command->add_option("-t,--threads", options->threads, "Threads; 0: one per core")->capture_default_str();
  command->callback([options] { run(*options); });
}

}  // namespace twofold
