#include "eval/model_bench.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/memory.h"
#include "base/random.h"
#include "runtime/generate.h"

namespace twofold {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::vector<std::int32_t> random_tokens(const ModelSpec& spec, std::int64_t count) {
  Random random(0);
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(count));
  for (std::int32_t& token : tokens) {
    token = static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(spec.vocab_size)));
  }
  return tokens;
}

void check(const ModelSpec& spec, const ModelBenchOptions& options) {
  const auto in_range = [](const char* what, std::int64_t value, std::int64_t least, std::int64_t most) {
    if (value < least || value > most) fail("{}: expected {} to {}, found {}", what, least, most, value);
  };
  in_range("tokens of the prompt", options.prompt, 0, spec.max_positions);
  in_range("tokens to generate", options.generate, 0, spec.max_positions);
  in_range("repetitions", options.repetitions, 1, 1000);
  for (const std::int64_t sequences : options.sequences) in_range("sequences", sequences, 1, 4096);
}

/// Calls `pass`, which returns its seconds, as often as asked.
template <typename Pass>
Throughput measure(std::int64_t tokens, std::int64_t sequences, int repetitions, const Pass& pass) {
  Throughput result{tokens, sequences, {}, {}};
  for (int i = 0; i < repetitions; ++i)
    result.tokens_per_second.push_back(static_cast<double>(tokens * sequences) / pass());
  return result;
}

/// The same, and how much of the time goes to linear layers.
template <typename Pass>
Throughput measure(Model& model, std::int64_t tokens, std::int64_t sequences, int repetitions,
                   const Pass& pass) {
  double total = 0;
  const double linear_before = model.workspace().linear_seconds;
  Throughput result = measure(tokens, sequences, repetitions, [&] {
    const double seconds = pass();
    total += seconds;
    return seconds;
  });
  result.linear_share = (model.workspace().linear_seconds - linear_before) / total;
  return result;
}

double time_prefill(Model& model, const std::vector<std::int32_t>& tokens) {
  KvCache cache(model.spec());
  cache.reserve(model.spec(), static_cast<std::int64_t>(tokens.size()));
  const auto start = Clock::now();
  prefill(model, cache, tokens);
  return seconds_since(start);
}

/// All sequences take their next token in one pass.
double time_decode(Model& model, std::span<const std::int32_t> tokens, std::int64_t sequences) {
  std::vector<KvCache> caches(static_cast<std::size_t>(sequences), KvCache(model.spec()));
  for (KvCache& cache : caches) cache.reserve(model.spec(), static_cast<std::int64_t>(tokens.size()));
  std::vector<Sequence> batch(caches.size());
  const auto start = Clock::now();
  for (std::size_t t = 0; t < tokens.size(); ++t) {
    check_interrupt();
    for (std::size_t s = 0; s < batch.size(); ++s) {
      batch[s] = {&caches[s], {&tokens[(t + s) % tokens.size()], 1}};  // each sequence a text of its own
    }
    model.forward(batch, Model::Logits::kLast);
  }
  return seconds_since(start);
}

double time_prefill(GpuModel& model, std::span<const std::int32_t> tokens) {
  model.clear();
  const auto start = Clock::now();
  model.forward(tokens);
  return seconds_since(start);
}

double time_decode(GpuModel& model, std::span<const std::int32_t> tokens) {
  model.clear();
  const auto start = Clock::now();
  for (const std::int32_t& token : tokens) {
    check_interrupt();
    model.forward({&token, 1});
  }
  return seconds_since(start);
}

/// Stored bytes of a weight, coded or not.
std::uint64_t stored_bytes(const Container* container, const Checkpoint& checkpoint,
                           const std::string& name) {
  if (container != nullptr) {
    const auto it = container->coded().find(name);
    if (it != container->coded().end()) return it->second.stored_bytes;
  }
  return checkpoint.at(name).bytes.size();
}

}  // namespace

double Throughput::median() const {
  std::vector<double> sorted = tokens_per_second;
  std::sort(sorted.begin(), sorted.end());
  const std::size_t n = sorted.size();
  return (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
}

double Throughput::deviation() const {
  const auto n = static_cast<double>(tokens_per_second.size());
  if (n < 2) return 0;
  double mean = 0;
  for (const double value : tokens_per_second) mean += value / n;
  double squares = 0;
  for (const double value : tokens_per_second) squares += (value - mean) * (value - mean);
  return std::sqrt(squares / (n - 1));
}

std::uint64_t weight_bytes_per_pass(const ModelSpec& spec, const Container* container,
                                    const Checkpoint& checkpoint) {
  const auto bytes_of = [&](const std::string& name) { return stored_bytes(container, checkpoint, name); };
  const auto linear_bytes = [&](const LinearSpec& linear) {
    if (!linear.present()) return std::uint64_t{0};
    return bytes_of(linear.weight()) + (linear.bias ? bytes_of(linear.name + ".bias") : 0);
  };
  const auto norm_bytes = [&](const NormSpec& norm) {
    return (norm.present() && norm.weight ? bytes_of(norm.name + ".weight") : 0) +
           (norm.present() && norm.bias ? bytes_of(norm.name + ".bias") : 0);
  };
  std::uint64_t bytes = linear_bytes(spec.head) + linear_bytes(spec.project_in) +
                        linear_bytes(spec.project_out) + norm_bytes(spec.final_norm);
  for (const LayerSpec& layer : spec.layers) {
    for (const NormSpec* norm : layer.norms()) bytes += norm_bytes(*norm);
    for (const LinearSpec* linear : layer.linears()) bytes += linear_bytes(*linear);
    for (const LinearSpec* linear : layer.routers()) bytes += linear_bytes(*linear);
    if (!layer.moe) continue;
    // Of the experts only those that the token is sent to are read.
    std::uint64_t experts = 0;
    for (const FeedForwardSpec& expert : layer.moe->experts) {
      for (const LinearSpec& linear : expert.in) experts += linear_bytes(linear);
      experts += linear_bytes(expert.down);
    }
    const auto count = static_cast<std::uint64_t>(layer.moe->experts.size());
    bytes -= experts - experts / count * static_cast<std::uint64_t>(layer.moe->top_k);
  }
  return bytes;
}

MemoryUse memory_use(const ModelBenchOptions& options) {
  std::int64_t most = 1;
  for (const std::int64_t sequences : options.sequences) most = std::max(most, sequences);
  MemoryUse use;
  use.context = std::max<std::int64_t>({options.prompt, options.generate, 1});
  // Caches of the token passes, or the one of the prompt.
  use.sequences = (std::max(options.generate * most, options.prompt) + use.context - 1) / use.context;
  use.tokens = most;
  use.prompt = std::min(std::max<std::int64_t>(options.prompt, 1), kPromptBlock);
  use.logit_rows = most;
  return use;
}

ModelBench bench_model(Model& model, const ModelBenchOptions& options) {
  check(model.spec(), options);
  ModelBench result;
  if (options.prompt > 0) {
    const auto tokens = random_tokens(model.spec(), options.prompt);
    time_prefill(model, tokens);  // brings weights and buffers into memory
    result.prefill.push_back(
        measure(model, options.prompt, 1, options.repetitions, [&] { return time_prefill(model, tokens); }));
  }
  if (options.generate > 0) {
    const auto tokens = random_tokens(model.spec(), options.generate);
    for (const std::int64_t sequences : options.sequences) {
      time_decode(model, std::span(tokens).first(1), sequences);
      result.decode.push_back(measure(model, options.generate, sequences, options.repetitions,
                                      [&] { return time_decode(model, tokens, sequences); }));
    }
  }
  result.weight_bytes_per_pass = weight_bytes_per_pass(model);
  result.peak_rss_bytes = peak_rss_bytes();
  return result;
}

ModelBench bench_model(GpuModel& model, const ModelBenchOptions& options) {
  check(model.spec(), options);
  if (options.sequences != std::vector<std::int64_t>{1}) fail("sequences side by side: expected 1 on a GPU");
  ModelBench result;
  if (options.prompt > 0) {
    const auto tokens = random_tokens(model.spec(), options.prompt);
    time_prefill(model, tokens);
    result.prefill.push_back(
        measure(options.prompt, 1, options.repetitions, [&] { return time_prefill(model, tokens); }));
  }
  if (options.generate > 0) {
    const auto tokens = random_tokens(model.spec(), options.generate);
    time_decode(model, std::span(tokens).first(1));
    result.decode.push_back(
        measure(options.generate, 1, options.repetitions, [&] { return time_decode(model, tokens); }));
  }
  result.weight_bytes_per_pass = weight_bytes_per_pass(model.spec(), model.container(), model.checkpoint());
  result.peak_rss_bytes = peak_rss_bytes();
  return result;
}

}  // namespace twofold
