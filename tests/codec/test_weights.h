#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <string>
#include <vector>

#include "base/random.h"

namespace twofold {

using Weights = std::vector<std::int8_t>;

inline std::int8_t clamp_weight(double value) {
  return static_cast<std::int8_t>(std::clamp(std::nearbyint(value), -127.0, 127.0));
}

inline double normal(Random& random) {
  const double radius = std::sqrt(-2 * std::log(1 - random.uniform()));
  return radius * std::cos(2 * std::numbers::pi * random.uniform());
}

inline double laplace(Random& random) {
  const double u = random.uniform() - 0.5;
  return (u < 0 ? 1 : -1) * std::log(1 - 2 * std::abs(u));
}

template <typename Draw>
Weights draw(std::size_t count, const Draw& one) {
  Weights weights(count);
  for (std::int8_t& weight : weights) weight = one();
  return weights;
}

inline Weights gaussian(std::size_t count, double deviation, std::uint64_t seed = 1) {
  Random random(seed);
  return draw(count, [&] { return clamp_weight(normal(random) * deviation); });
}

/// The sources the tests run over, by name.
inline std::vector<std::string> source_names() {
  return {"gauss 0.3", "gauss 3",      "gauss 20", "gauss 60",    "laplace 2", "laplace 12",
          "uniform",   "pruned",       "sparse",   "heavy tails", "one",       "minus 128",
          "two",       "two extremes", "rare one", "walk"};
}

inline Weights make_source(const std::string& name, std::size_t count, std::uint64_t seed = 1) {
  Random random(seed);
  if (name == "gauss 0.3") return gaussian(count, 0.3, seed);
  if (name == "gauss 3") return gaussian(count, 3, seed);
  if (name == "gauss 20") return gaussian(count, 20, seed);
  if (name == "gauss 60") return gaussian(count, 60, seed);
  if (name == "laplace 2") return draw(count, [&] { return clamp_weight(2 * laplace(random)); });
  if (name == "laplace 12") return draw(count, [&] { return clamp_weight(12 * laplace(random)); });
  if (name == "uniform") return draw(count, [&] { return static_cast<std::int8_t>(random.next()); });
  if (name == "pruned") {
    return draw(count, [&] {
      const std::int8_t weight = clamp_weight(normal(random) * 10);
      return std::abs(weight) < 6 ? std::int8_t{0} : weight;
    });
  }
  if (name == "sparse") {
    return draw(count,
                [&] { return random.below(100) == 0 ? clamp_weight(normal(random) * 40) : std::int8_t{0}; });
  }
  if (name == "heavy tails") {  // a narrow bulk, and outliers over the whole range
    return draw(count, [&] { return clamp_weight(normal(random) * (random.below(200) == 0 ? 60 : 2)); });
  }
  if (name == "one") return Weights(count, 7);
  if (name == "minus 128") return Weights(count, -128);
  if (name == "two")
    return draw(count, [&] { return static_cast<std::int8_t>(random.below(3) == 0 ? 5 : 4); });
  if (name == "two extremes") {
    return draw(count, [&] { return static_cast<std::int8_t>(random.below(2) == 0 ? -128 : 127); });
  }
  if (name == "rare one") {
    return draw(count, [&] { return static_cast<std::int8_t>(random.below(20000) == 0 ? 100 : -3); });
  }
  double position = 0;  // "walk": neighbours are alike, which only the dictionary coders can use
  return draw(count, [&] {
    position = std::clamp(position + normal(random), -127.0, 127.0);
    return clamp_weight(position);
  });
}

/// A matrix whose columns have deviations from 1 to 12 in no order.
inline Weights channel_matrix(std::size_t rows, std::size_t cols, std::uint64_t seed = 1) {
  Random random(seed);
  std::vector<double> deviations(cols);
  for (double& deviation : deviations) deviation = std::exp2(3.6 * random.uniform());
  Weights weights;
  for (std::size_t i = 0; i < rows * cols; ++i) {
    weights.push_back(clamp_weight(normal(random) * deviations[i % cols]));
  }
  return weights;
}

}  // namespace twofold
