#include "compress/error_metric.h"

#include <algorithm>

#include "base/error.h"
#include "kernels/symmetric.h"

namespace twofold {

ErrorMetric make_error_metric(std::span<const float> gram, std::size_t cols, std::int64_t tokens,
                              double damping, std::vector<std::int32_t> order, ThreadPool& pool) {
  if (gram.size() != cols * cols) fail("calibration: the second moments of the inputs were not collected");
  ErrorMetric metric;
  metric.cols = cols;
  metric.order = std::move(order);
  metric.factor.resize(cols * cols);
  metric.diagonal.resize(cols);
  const double scale = 1.0 / static_cast<double>(std::max<std::int64_t>(tokens, 1));
  double mean = 0;
  for (std::size_t i = 0; i < cols; ++i) mean += gram[i * cols + i] * scale / static_cast<double>(cols);
  if (!(mean > 0)) mean = 1;  // no token came here: all channels count alike
  // Rows from both ends in turn: the last are the longest.
  const auto row = [&](std::size_t n) { return n % 2 == 0 ? n / 2 : cols - 1 - n / 2; };
  for (double damp = damping;; damp = std::max(damp * 10, 1e-4)) {
    pool.run(cols, [&](std::size_t begin, std::size_t end, int) {
      for (std::size_t n = begin; n < end; ++n) {
        const std::size_t i = row(n);
        const std::size_t a = metric.channel(i);
        for (std::size_t j = 0; j <= i; ++j) {
          const std::size_t b = metric.channel(j);
          const double value = gram[std::max(a, b) * cols + std::min(a, b)] * scale;
          metric.factor[i * cols + j] = static_cast<float>(i == j ? value + damp * mean : value);
        }
      }
    });
    if (cholesky(metric.factor.data(), cols, pool)) break;
    if (damp > 100) fail("calibration: the inputs of a linear layer are not finite");
  }
  std::vector<float> inverse(cols);
  for (std::size_t i = 0; i < cols; ++i) {
    metric.diagonal[i] = metric.factor[i * cols + i];
    inverse[i] = 1.0F / metric.diagonal[i];
  }
  pool.run(cols, [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t n = begin; n < end; ++n) {
      const std::size_t i = row(n);
      for (std::size_t j = 0; j <= i; ++j) metric.factor[i * cols + j] *= inverse[j];
    }
  });
  return metric;
}

}  // namespace twofold
