#include "compress/channel_scales.h"

#include <algorithm>
#include <cmath>

#include "compress/scaler.h"

namespace twofold {

namespace {

/// max_i |w_ij| for every column.
std::vector<float> column_maxima(std::span<const float> weights, std::size_t cols, ThreadPool& pool) {
  std::vector<float> maxima(cols);
  constexpr std::size_t kColumns = 256;  // per unit of work
  pool.run((cols + kColumns - 1) / kColumns, [&](std::size_t begin, std::size_t end, int) {
    const std::size_t last = std::min(cols, end * kColumns);
    for (std::size_t row = 0; row < weights.size(); row += cols) {
      for (std::size_t j = begin * kColumns; j < last; ++j) {
        maxima[j] = std::max(maxima[j], std::fabs(weights[row + j]));
      }
    }
  });
  return maxima;
}

}  // namespace

ChannelScales channel_scales(const ErrorMetric& metric, std::span<const SteppedLinear> linears,
                             ThreadPool& pool) {
  const std::size_t cols = metric.cols;
  std::vector<double> scales(cols);
  for (std::size_t k = 0; k < cols; ++k) scales[metric.channel(k)] = metric.diagonal[k];
  constexpr double kLevels = 126;  // some room for what feedback adds
  for (const SteppedLinear& linear : linears) {
    const std::vector<float> maxima = column_maxima(linear.weights, cols, pool);
    for (std::size_t j = 0; j < cols; ++j) {
      if (maxima[j] > 0)
        scales[j] = std::min(scales[j], kLevels * linear.step / static_cast<double>(maxima[j]));
    }
  }
  double sum = 0;
  for (const double s : scales) sum += std::log(s);
  ChannelScales out;
  out.norm = std::exp(sum / static_cast<double>(cols));
  for (double& s : scales) s /= out.norm;
  out.scales = storable_scales(std::move(scales));
  return out;
}

}  // namespace twofold
