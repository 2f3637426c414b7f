#include "runtime/logits.h"

#include <algorithm>
#include <cmath>

namespace twofold {

double log_sum_exp(std::span<const float> logits) {
  const float max = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float x : logits) sum += std::exp(static_cast<double>(x) - max);
  return max + std::log(sum);
}

double negative_log_likelihood(std::span<const float> logits, std::int32_t target) {
  return log_sum_exp(logits) - logits[static_cast<std::size_t>(target)];
}

double kl_divergence(std::span<const float> reference, std::span<const float> logits) {
  const double norm_p = log_sum_exp(reference);
  const double norm_q = log_sum_exp(logits);
  double sum = 0;
  for (std::size_t i = 0; i < reference.size(); ++i) {
    const double log_p = reference[i] - norm_p;
    sum += std::exp(log_p) * (log_p - (logits[i] - norm_q));
  }
  return std::isnan(sum) ? sum : std::max(sum, 0.0);  // rounding can leave -1e-16
}

std::int32_t argmax(std::span<const float> logits) {
  return static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

}  // namespace twofold
