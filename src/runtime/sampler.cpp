#include "runtime/sampler.h"

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "base/error.h"
#include "runtime/logits.h"

namespace twofold {

namespace {

void require(bool ok, const char* flag, const char* expected, double value) {
  if (!ok) throw UsageError(fmt::format("{}: expected {}, found {}", flag, expected, value));
}

}  // namespace

void check(const SamplingOptions& options) {
  require(options.temperature >= 0 && std::isfinite(options.temperature), "--temperature", "a number from 0",
          options.temperature);
  require(options.top_k >= 0, "--top-k", "a whole number from 0", options.top_k);
  require(options.top_p > 0 && options.top_p <= 1, "--top-p", "a number above 0 and up to 1", options.top_p);
  require(options.min_p >= 0 && options.min_p <= 1, "--min-p", "a number from 0 to 1", options.min_p);
  require(options.repetition_penalty > 0 && std::isfinite(options.repetition_penalty), "--repetition-penalty",
          "a number above 0", options.repetition_penalty);
}

Sampler::Sampler(const SamplingOptions& options) : options_(options), random_(options.seed) {
  check(options);
}

std::int32_t Sampler::sample(std::span<float> logits, std::span<const std::int32_t> history) {
  for (const float logit : logits) {
    if (std::isnan(logit)) fail("the model's logits are not numbers: its weights or activations overflow");
  }
  if (options_.repetition_penalty != 1.0F) {
    for (const std::int32_t id : std::unordered_set<std::int32_t>(history.begin(), history.end())) {
      float& logit = logits[static_cast<std::size_t>(id)];
      logit = logit > 0 ? logit / options_.repetition_penalty : logit * options_.repetition_penalty;
    }
  }
  const std::int32_t best = argmax(logits);
  const float max = logits[static_cast<std::size_t>(best)];
  if (!std::isfinite(max)) fail("the model's logits are not finite");
  if (options_.temperature == 0.0F) return best;

  candidates_.clear();
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double p = std::exp((static_cast<double>(logits[i]) - max) / options_.temperature);
    if (p > 0) candidates_.push_back({static_cast<std::int32_t>(i), logits[i], p});
  }
  const auto more_likely = [](const Candidate& a, const Candidate& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
  };
  std::size_t keep = candidates_.size();
  if (options_.top_k > 0) keep = std::min(keep, static_cast<std::size_t>(options_.top_k));
  const bool ordered = keep < candidates_.size() || options_.top_p < 1;
  if (ordered) {
    std::partial_sort(candidates_.begin(), candidates_.begin() + static_cast<std::ptrdiff_t>(keep),
                      candidates_.end(), more_likely);
    candidates_.resize(keep);
  }
  if (options_.top_p < 1) {
    double total = 0;
    for (const Candidate& c : candidates_) total += c.probability;
    double sum = 0;
    keep = 0;
    while (keep < candidates_.size() && sum < options_.top_p * total) sum += candidates_[keep++].probability;
    candidates_.resize(std::max<std::size_t>(keep, 1));
  }
  if (options_.min_p > 0) {
    std::erase_if(candidates_,
                  [&](const Candidate& c) { return c.probability < options_.min_p; });  // the best has 1
  }
  double total = 0;
  for (const Candidate& c : candidates_) total += c.probability;
  double left = random_.uniform() * total;
  for (const Candidate& c : candidates_) {
    left -= c.probability;
    if (left < 0) return c.id;
  }
  return candidates_.back().id;
}

}  // namespace twofold
