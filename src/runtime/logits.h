#pragma once

#include <cstdint>
#include <span>

namespace twofold {

/// log(sum(exp(logits))), in double.
double log_sum_exp(std::span<const float> logits);

/// -log softmax(logits)[target], in nats.
double negative_log_likelihood(std::span<const float> logits, std::int32_t target);

/// KL(P || Q) in nats, where P = softmax(reference), Q = softmax(logits): what is lost by predicting with Q
/// where P is right. Never negative.
double kl_divergence(std::span<const float> reference, std::span<const float> logits);

/// Index of the largest; the first of equals.
std::int32_t argmax(std::span<const float> logits);

}  // namespace twofold
