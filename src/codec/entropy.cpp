#include "codec/entropy.h"

#include <cmath>

namespace twofold {

void count_values(std::span<const std::int8_t> weights, Histogram& histogram) {
  // Four sets of counters: equal neighbours would otherwise wait for each other's store.
  std::array<Histogram, 4> part{};
  std::size_t i = 0;
  for (; i + 4 <= weights.size(); i += 4) {
    for (std::size_t k = 0; k < 4; ++k) ++part[k][static_cast<std::uint8_t>(weights[i + k])];
  }
  for (; i < weights.size(); ++i) ++part[0][static_cast<std::uint8_t>(weights[i])];
  for (std::size_t v = 0; v < 256; ++v) histogram[v] += part[0][v] + part[1][v] + part[2][v] + part[3][v];
}

double order0_entropy(const Histogram& histogram) {
  double total = 0;
  for (std::uint64_t count : histogram) total += static_cast<double>(count);
  double bits = 0;
  for (std::uint64_t count : histogram) {
    if (count > 0) bits -= static_cast<double>(count) * std::log2(static_cast<double>(count) / total);
  }
  return total > 0 ? bits / total : 0;
}

}  // namespace twofold
