#include <fmt/core.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/memory_flags.h"
#include "cli/thread_flags.h"
#include "eval/perplexity.h"

namespace twofold {

namespace {

struct Flags {
  std::string model;
  std::string reference;
  std::string text;
  PerplexityOptions options;
  bool bos = false;
  ThreadFlags threads;
  MemoryFlags memory;
  bool json = false;
};

void print_text(const PerplexityResult& result) {
  fmt::print("perplexity: {:.4f} +- {:.4f}  ({} tokens, {} windows of {}, stride {})\n", result.perplexity,
             result.error, result.tokens, result.windows, result.context, result.stride);
  if (!result.comparison) return;
  const Comparison& c = *result.comparison;
  fmt::print("reference perplexity: {:.4f} +- {:.4f}  (ratio {:.5f})\n", c.reference_perplexity,
             c.reference_error, result.perplexity / c.reference_perplexity);
  fmt::print("KL divergence: mean {:.6f} +- {:.6f}, 99th percentile {:.6f} nats\n", c.kl_mean, c.kl_error,
             c.kl_p99);
  fmt::print("top-1 agreement: {:.2f} %\n", 100 * c.top1_agreement);
}

void print_json(const PerplexityResult& result) {
  Json json = {
      {"perplexity", result.perplexity}, {"perplexity_error", result.error}, {"nll", result.nll},
      {"tokens", result.tokens},         {"windows", result.windows},        {"context", result.context},
      {"stride", result.stride}};
  if (result.comparison) {
    const Comparison& c = *result.comparison;
    json["reference_perplexity"] = c.reference_perplexity;
    json["reference_perplexity_error"] = c.reference_error;
    json["kl_mean"] = c.kl_mean;
    json["kl_mean_error"] = c.kl_error;
    json["kl_p99"] = c.kl_p99;
    json["top1_agreement"] = c.top1_agreement;
  }
  fmt::print("{}\n", json.dump(2));
}

void evaluate(Flags& flags) {
  if (flags.memory.given() && !flags.reference.empty())
    throw UsageError("--memory: a budget is for one model, not for a --reference beside it");
  const auto tokenizer = load_tokenizer(flags.model);
  const std::vector<TokenId> text = tokenizer->encode(read_file(flags.text));
  const MemoryUse use = memory_use(load_model_spec(flags.model), flags.options);
  Model model(flags.model, {.threads = flags.threads.threads,
                            .cpus = flags.threads.cpu_list(),
                            .memory = flags.memory.options(use)});
  std::unique_ptr<Model> reference;
  if (!flags.reference.empty()) {
    reference = std::make_unique<Model>(
        flags.reference, Model::Options{.threads = flags.threads.threads, .cpus = flags.threads.cpu_list()});
    if (load_tokenizer(flags.reference)->encode(read_file(flags.text)) != text) {
      fail("{}: its tokenizer cuts {} into other tokens than that of {}", flags.reference, flags.text,
           flags.model);
    }
  }
  if (flags.bos) {
    if (!model.spec().bos) fail("{}: --bos: the model has no BOS token", flags.model);
    flags.options.bos = static_cast<TokenId>(*model.spec().bos);
  }
  std::unique_ptr<Progress> progress;
  std::int64_t shown = 0;
  const PerplexityResult result = evaluate_perplexity(
      model, reference.get(), text, flags.options, [&](std::int64_t done, std::int64_t total) {
        if (!progress) progress = std::make_unique<Progress>("Evaluating", static_cast<std::uint64_t>(total));
        progress->advance(static_cast<std::uint64_t>(done - shown));
        shown = done;
      });
  progress.reset();
  if (model.memory()) fmt::print(stderr, "{}\n", describe(*model.memory()));
  if (flags.json) {
    print_json(result);
  } else {
    print_text(result);
  }
}

}  // namespace

void add_eval_command(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  CLI::App* eval = app.add_subcommand("eval", "Measure a model's quality");
  eval->require_subcommand(1);
  CLI::App* command = eval->add_subcommand(
      "ppl", "Perplexity of a text; with --reference also KL divergence and top-1 agreement");
  command->add_option("-m,--model", flags->model, "Model directory, original or Twofold")->required();
  command->add_option("-f,--file", flags->text, "Text file")->required();
  command->add_option("--reference", flags->reference, "Model directory to compare with on the same tokens");
  command
      ->add_option("-c,--context", flags->options.context,
                   "Tokens of a window; 0: the model's context, at most 2048")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  command->add_option("--stride", flags->options.stride, "Tokens from one window to the next; 0: context")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  command->add_option("--max-tokens", flags->options.max_tokens, "Use only the text's first tokens; 0: all")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  command->add_flag("--bos", flags->bos, "Put the model's BOS token before every window");
  flags->threads.add_to(*command);
  flags->memory.add_to(*command);
  command->add_flag("--json", flags->json, "Print the result as JSON");
  command->callback([flags] { evaluate(*flags); });
  add_task_eval(*eval);
}

}  // namespace twofold
