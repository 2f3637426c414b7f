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

bool Sampler::Candidate::operator<(const Candidate& other) const {
  return logit != other.logit ? logit > other.logit : id < other.id;
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

  const auto probability = [&](float logit) {
    return std::exp((static_cast<double>(logit) - max) / options_.temperature);  // that of the best is 1
  };
  const auto k = static_cast<std::size_t>(options_.top_k);
  if (k > 0 && k < logits.size()) {
    keep_largest(logits, k);
    for (Candidate& c : candidates_) c.probability = probability(c.logit);
    std::erase_if(candidates_, [](const Candidate& c) { return c.probability == 0; });
  } else {
    candidates_.clear();
    for (std::size_t i = 0; i < logits.size(); ++i) {
      const double p = probability(logits[i]);
      if (p > 0) candidates_.push_back({static_cast<std::int32_t>(i), logits[i], p});
    }
  }
  if (options_.top_p < 1) keep_top_p();
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

void Sampler::keep_largest(std::span<const float> logits, std::size_t k) {
  candidates_.clear();
  for (std::size_t i = 0; i < k; ++i) candidates_.push_back({static_cast<std::int32_t>(i), logits[i], 0});
  std::make_heap(candidates_.begin(), candidates_.end());  // the least likely is at its front
  for (std::size_t i = k; i < logits.size(); ++i) {
    if (logits[i] <= candidates_.front().logit) continue;
    std::pop_heap(candidates_.begin(), candidates_.end());
    candidates_.back() = {static_cast<std::int32_t>(i), logits[i], 0};
    std::push_heap(candidates_.begin(), candidates_.end());
  }
  std::sort_heap(candidates_.begin(), candidates_.end());
}

void Sampler::keep_top_p() {
  double wanted = 0;
  for (const Candidate& c : candidates_) wanted += c.probability;
  wanted *= options_.top_p;
  // Halves the range in which the last one to keep lies: all before it are more likely, all after it less.
  constexpr std::ptrdiff_t kFew = 64;
  auto begin = candidates_.begin();
  auto end = candidates_.end();
  while (end - begin > kFew) {
    const auto middle = begin + (end - begin) / 2;
    std::nth_element(begin, middle, end);
    double sum = 0;
    for (auto c = begin; c != middle; ++c) sum += c->probability;
    if (sum < wanted) {
      wanted -= sum;
      begin = middle;
    } else {
      end = middle;
    }
  }
  std::sort(begin, end);
  while (begin != end && (begin == candidates_.begin() || wanted > 0)) wanted -= begin++->probability;
  candidates_.erase(begin, candidates_.end());
}

}  // namespace twofold
