#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <memory>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/memory.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/device_flag.h"
#include "cli/memory_flags.h"
#include "cli/output.h"
#include "cli/sampling_flags.h"
#include "cli/thread_flags.h"
#include "runtime/generate.h"
#include "runtime/gpu_model.h"
#include "text/tokenizer.h"

namespace twofold {

namespace {

struct Flags {
  std::string model;
  std::string prompt;
  std::int64_t count = 128;
  SamplingOptions sampling;
  ThreadFlags threads;
  MemoryFlags memory;
  std::string device = "cpu";
  bool ignore_eos = false;
  bool no_echo = false;
};

const char* describe(GenerationStats::End end) {
  switch (end) {
    case GenerationStats::End::kEos:
      return "end of text";
    case GenerationStats::End::kContext:
      return "context full";
    case GenerationStats::End::kStopped:
      return "interrupted";
    case GenerationStats::End::kCount:
      break;
  }
  return "as many as asked";
}

double rate(std::int64_t tokens, double seconds) {
  return seconds > 0 ? static_cast<double>(tokens) / seconds : 0;
}

/// Sizes of the weights as they lie in memory, and as INT8 they would.
void print_weights(const Container* container, const Checkpoint& checkpoint) {
  if (container == nullptr) {
    std::uint64_t bytes = 0;
    for (const auto& [name, tensor] : checkpoint.tensors()) bytes += tensor.bytes.size();
    fmt::print(stderr, "weights: {} as stored\n", format_bytes(bytes));
    return;
  }
  std::uint64_t stored = 0;
  std::uint64_t int8 = 0;
  for (const auto& [name, tensor] : container->coded()) {
    stored += tensor.stored_bytes;
    int8 += static_cast<std::uint64_t>(tensor.rows) * static_cast<std::uint64_t>(tensor.cols);
  }
  for (const auto& [name, tensor] : container->plain()) {
    stored += tensor.bytes.size();
    int8 += tensor.bytes.size();
  }
  fmt::print(stderr, "weights: {} coded, {} as INT8\n", format_bytes(stored), format_bytes(int8));
}

/// Continues the prompt and says how fast.
template <typename AnyModel>
void print_generated(AnyModel& model, const Tokenizer& tokenizer, std::vector<TokenId> prompt,
                     const Flags& flags) {
  if (prompt.empty() && model.spec().bos) prompt.push_back(static_cast<TokenId>(*model.spec().bos));
  if (!flags.no_echo) print_out(flags.prompt);

  Sampler sampler(flags.sampling);
  bool first = flags.prompt.empty();
  const GenerationStats stats =
      generate(model, prompt, flags.count, flags.ignore_eos, sampler, [&](TokenId token) {
        std::string piece = tokenizer.piece(token);
        if (first && piece.starts_with(' ')) piece.erase(0, 1);  // the tokenizer's own, before a first word
        first = false;
        print_out(piece);
        return !interrupted();
      });
  print_out("\n");
  fmt::print(stderr, "\nprefill: {} tokens, {:.1f} tokens/s\n", stats.prompt_tokens,
             rate(stats.prompt_tokens, stats.prefill_seconds));
  fmt::print(stderr, "decode: {} tokens, {:.1f} tokens/s ({})\n", stats.generated_tokens,
             rate(stats.decode_passes, stats.decode_seconds), describe(stats.end));
  print_weights(model.container(), model.checkpoint());
  if constexpr (std::is_same_v<AnyModel, Model>) {
    if (model.memory()) fmt::print(stderr, "{}\n", describe(*model.memory()));
  }
  fmt::print(stderr, "peak RSS: {}\n", format_bytes(peak_rss_bytes()));
  if (stats.end == GenerationStats::End::kStopped) throw Interrupted("interrupted");
}

void run(Flags& flags) {
  check(flags.sampling);
  const bool on_gpu = flags.device == "cuda";
  if (on_gpu) check_gpu_device(flags.memory);
  if (flags.prompt == "-") {
    flags.prompt.assign(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>());
  }
  const auto tokenizer = load_tokenizer(flags.model);
  std::vector<TokenId> prompt = tokenizer->encode_prompt(flags.prompt);
  const auto tokens = static_cast<std::int64_t>(std::max<std::size_t>(prompt.size(), 1));
  if (on_gpu) {
    GpuModel::Options options;
    options.context = tokens + flags.count;
    GpuModel model(flags.model, options);
    print_generated(model, *tokenizer, std::move(prompt), flags);
    return;
  }
  const MemoryUse use = {.context = tokens + flags.count, .prompt = std::min(tokens, kPromptBlock)};
  Model model(flags.model, {.threads = flags.threads.threads,
                            .cpus = flags.threads.cpu_list(),
                            .memory = flags.memory.options(use)});
  print_generated(model, *tokenizer, std::move(prompt), flags);
}

}  // namespace

void add_run_command(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command =
      app.add_subcommand("run", "Generate text with a model directory, original or Twofold, or a GGUF file");
  command->add_option("-m,--model", flags->model, "Model directory or GGUF file")->required();
  command->add_option("-p,--prompt", flags->prompt, "Text to continue; - reads it from standard input");
  command->add_option("-n,--predict", flags->count, "Tokens to generate")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  add_sampling_flags(*command, flags->sampling);
  flags->threads.add_to(*command);
  flags->memory.add_to(*command);
  add_device_flag(*command, flags->device);
  command->add_flag("--ignore-eos", flags->ignore_eos, "Go on after an end-of-text token");
  command->add_flag("--no-display-prompt", flags->no_echo, "Print only what is generated");
  command->callback([flags] { run(*flags); });
}

}  // namespace twofold
