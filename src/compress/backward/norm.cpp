#include "compress/backward/norm.h"

#include <cmath>

namespace twofold {

void backward_norm(const NormSpec& spec, const NormWeights& weights, const float* x, const float* dy,
                   float* dx) {
  // y = w z + b with z = (x - m) r, r = 1 / sqrt(mean((x - m)^2) + eps), and m = 0 in RMSNorm. With g = w dy:
  // dx = r (g - mean(g) - z mean(g z)), where the mean of g stands for what goes through m.
  const auto n = static_cast<std::size_t>(spec.size);
  const bool centred = spec.kind == NormSpec::Kind::kLayer;
  const float* w = weights.weight.data();
  double mean = 0;
  if (centred) {
    for (std::size_t i = 0; i < n; ++i) mean += x[i];
    mean /= static_cast<double>(n);
  }
  double squares = 0;
  double sum_g = 0;
  double sum_gx = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double d = x[i] - mean;
    const double g = static_cast<double>(w[i]) * dy[i];
    squares += d * d;
    sum_g += g;
    sum_gx += g * d;
  }
  const auto count = static_cast<double>(n);
  const double r = 1 / std::sqrt(squares / count + spec.eps);
  const double mean_g = centred ? sum_g / count : 0;
  const double mean_gz = sum_gx * r / count;
  for (std::size_t i = 0; i < n; ++i) {
    const double g = static_cast<double>(w[i]) * dy[i];
    dx[i] = static_cast<float>(r * (g - mean_g - (x[i] - mean) * r * mean_gz));
  }
}

void backward_norm(const NormSpec& spec, const NormWeights& weights, const float* x, const float* dy,
                   std::size_t rows, float* dx, ThreadPool& pool) {
  const auto size = static_cast<std::size_t>(spec.size);
  pool.run(rows, [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t row = begin; row < end; ++row)
      backward_norm(spec, weights, x + row * size, dy + row * size, dx + row * size);
  });
}

}  // namespace twofold
