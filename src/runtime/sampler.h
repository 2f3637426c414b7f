#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/random.h"

namespace twofold {

/// How the next token is drawn. Steps are applied in the order of the fields, as `transformers` does.
struct SamplingOptions {
  float repetition_penalty = 1.0F;  // > 0; logits of tokens seen are divided by it (multiplied when negative)
  float temperature = 0.8F;         // >= 0; 0 takes the most likely token
  std::int32_t top_k = 40;          // keep the k most likely; 0: all
  float top_p = 0.95F;              // keep the smallest set with this probability; 1: all
  float min_p = 0.05F;              // drop those below min_p times the most likely; 0: none
  std::uint64_t seed = 0;
};

/// Throws UsageError for a value out of range.
void check(const SamplingOptions& options);

class Sampler {
 public:
  explicit Sampler(const SamplingOptions& options);

  /// Draws a token from `logits`, which is overwritten. `history`: tokens the repetition penalty is for.
  /// Logits that are all infinite or NaN are an Error.
  std::int32_t sample(std::span<float> logits, std::span<const std::int32_t> history);

 private:
  struct Candidate {
    std::int32_t id;
    float logit;
    double probability;
    bool operator<(const Candidate& other) const;  // is more likely
  };

  void keep_largest(std::span<const float> logits, std::size_t k);
  void keep_top_p();

  SamplingOptions options_;
  Random random_;
  std::vector<Candidate> candidates_;
};

}  // namespace twofold
