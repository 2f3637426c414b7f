#include "model/rope_spec.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>

namespace twofold {

namespace {

/// Llama 3.1: wavelengths beyond original / low_freq_factor are stretched by `factor`, those under original /
/// high_freq_factor kept, between them the two are mixed.
void scale_llama3(const RopeSpec& rope, std::vector<float>& frequencies) {
  const auto original = static_cast<float>(rope.original_positions);
  const auto low = static_cast<float>(rope.low_freq_factor);
  const auto high = static_cast<float>(rope.high_freq_factor);
  const auto factor = static_cast<float>(rope.factor);
  for (float& frequency : frequencies) {
    const float wavelength = 2 * std::numbers::pi_v<float> / frequency;
    if (wavelength > original / low) {
      frequency /= factor;
    } else if (wavelength >= original / high) {
      const float smooth = (original / wavelength - low) / (high - low);
      frequency = (1 - smooth) * frequency / factor + smooth * frequency;
    }
  }
}

/// YaRN, arXiv 2309.00071, section 3.2: channels that rotate more than beta_fast times in the original
/// context are kept, those that rotate less than beta_slow times interpolated.
void scale_yarn(const RopeSpec& rope, std::vector<float>& frequencies) {
  const auto dims = static_cast<double>(rope.dims);
  const auto channel = [&](double rotations) {
    return dims *
           std::log(static_cast<double>(rope.original_positions) / (rotations * 2 * std::numbers::pi)) /
           (2 * std::log(rope.theta));
  };
  double low = channel(rope.beta_fast);
  double high = channel(rope.beta_slow);
  if (rope.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, dims - 1);
  if (low == high) high += 0.001;
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    const double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    const double interpolated = frequencies[i] / rope.factor;
    frequencies[i] = static_cast<float>(interpolated * ramp + frequencies[i] * (1 - ramp));
  }
}

}  // namespace

std::vector<float> RopeSpec::frequencies(std::int64_t length) const {
  double base = theta;
  if (scaling == Scaling::kDynamic && length > original_positions) {
    const double stretch = factor * static_cast<double>(length) / static_cast<double>(original_positions);
    base *= std::pow(stretch - (factor - 1), static_cast<double>(dims) / static_cast<double>(dims - 2));
  }
  const std::vector<float>& divisors = length > original_positions ? long_divisors : short_divisors;
  std::vector<float> result;
  for (std::int64_t i = 0; i < dims / 2; ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(dims);
    float divisor = std::pow(static_cast<float>(base), exponent);
    if (scaling == Scaling::kLongRope) divisor *= divisors[static_cast<std::size_t>(i)];
    result.push_back(1.0F / divisor);
  }
  if (scaling == Scaling::kLinear) {
    for (float& frequency : result) frequency /= static_cast<float>(factor);
  }
  if (scaling == Scaling::kLlama3) scale_llama3(*this, result);
  if (scaling == Scaling::kYarn) scale_yarn(*this, result);
  return result;
}

}  // namespace twofold
