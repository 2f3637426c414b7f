#include "runtime/generate.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/interrupt.h"
#include "runtime/gpu_model.h"

namespace twofold {

namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Appends tokens to the sequence; the last one's logits.
using Forward = std::function<std::vector<float>(const std::vector<std::int32_t>& tokens)>;

GenerationStats generate_with(const ModelSpec& spec, const Forward& forward,
                              const std::vector<std::int32_t>& prompt, std::int64_t count, bool ignore_eos,
                              Sampler& sampler, const std::function<bool(std::int32_t)>& on_token) {
  if (prompt.empty()) fail("the prompt is empty and the model has no BOS token to start from");
  GenerationStats stats;
  stats.prompt_tokens = static_cast<std::int64_t>(prompt.size());
  if (stats.prompt_tokens > spec.max_positions) {
    fail("the prompt has {} tokens, the model's context is {}", prompt.size(), spec.max_positions);
  }
  auto start = std::chrono::steady_clock::now();
  std::vector<float> logits = forward(prompt);
  stats.prefill_seconds = seconds_since(start);

  std::vector<std::int32_t> history = prompt;
  while (stats.generated_tokens < count) {
    const std::int32_t token = sampler.sample(logits, history);
    if (!ignore_eos && std::find(spec.eos.begin(), spec.eos.end(), token) != spec.eos.end()) {
      stats.end = GenerationStats::End::kEos;
      break;
    }
    history.push_back(token);
    ++stats.generated_tokens;
    if (!on_token(token)) {
      stats.end = GenerationStats::End::kStopped;
      break;
    }
    if (stats.generated_tokens == count) break;
    if (stats.prompt_tokens + stats.decode_passes == spec.max_positions) {
      stats.end = GenerationStats::End::kContext;
      break;
    }
    start = std::chrono::steady_clock::now();
    logits = forward({token});
    stats.decode_seconds += seconds_since(start);
    ++stats.decode_passes;
  }
  return stats;
}

}  // namespace

std::vector<float> prefill(Model& model, KvCache& cache, const std::vector<std::int32_t>& tokens) {
  std::vector<float> logits;
  const auto most = static_cast<std::size_t>(model.block_tokens(kPromptBlock));
  for (std::size_t begin = 0; begin < tokens.size(); begin += most) {
    check_interrupt();
    const std::size_t count = std::min(most, tokens.size() - begin);
    const Sequence block{&cache, std::span(tokens).subspan(begin, count)};
    logits = model.forward({&block, 1}, Model::Logits::kLast);
  }
  return logits;
}

GenerationStats generate(Model& model, const std::vector<std::int32_t>& prompt, std::int64_t count,
                         bool ignore_eos, Sampler& sampler,
                         const std::function<bool(std::int32_t)>& on_token) {
  const ModelSpec& spec = model.spec();
  KvCache cache(spec);
  cache.reserve(spec, std::min(spec.max_positions,
                               static_cast<std::int64_t>(prompt.size()) + std::max<std::int64_t>(count, 0)));
  const Forward forward = [&](const std::vector<std::int32_t>& tokens) {
    if (tokens.size() > 1) return prefill(model, cache, tokens);
    const Sequence next{&cache, tokens};
    return model.forward({&next, 1}, Model::Logits::kLast);
  };
  return generate_with(spec, forward, prompt, count, ignore_eos, sampler, on_token);
}

GenerationStats generate(GpuModel& model, const std::vector<std::int32_t>& prompt, std::int64_t count,
                         bool ignore_eos, Sampler& sampler,
                         const std::function<bool(std::int32_t)>& on_token) {
  model.clear();
  const Forward forward = [&](const std::vector<std::int32_t>& tokens) { return model.forward(tokens); };
  return generate_with(model.spec(), forward, prompt, count, ignore_eos, sampler, on_token);
}

}  // namespace twofold
