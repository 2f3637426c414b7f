#include <algorithm>
#include <cmath>
#include <limits>

#include "compress/quantizer.h"
#include "compress/scaler.h"

namespace twofold {

/// s_j = max(1, a_j / t) (Wei et al., arXiv 2304.09145, eq. 5), t from a grid by the error of the output. The
/// error is that of rounding with uniform noise of the steps' size: E[x_j^2] times the weights' noise, plus
/// w_ij^2 times the activations' noise, both as they are after scaling. Their shift of the channels is left
/// away: the engine's activations have no zero point, and without one a shift gains nothing.
std::vector<float> scale_suppressed(const LinearTask& task) {
  constexpr int kGrid = 40;
  const std::size_t cols = task.width();
  std::vector<double> column_squares(cols);
  std::vector<float> weight_max(cols);
  for (std::size_t i = 0; i < task.weights.size(); ++i) {
    const float w = task.weights[i];
    column_squares[i % cols] += static_cast<double>(w) * w;
    weight_max[i % cols] = std::max(weight_max[i % cols], std::fabs(w));
  }
  const ChannelStatistics& x = task.statistics;
  const double tokens = static_cast<double>(std::max<std::int64_t>(x.tokens, 1));
  const float largest = *std::max_element(x.abs_max.begin(), x.abs_max.end());
  const double levels = levels_of(task.recipe.width);
  std::vector<double> best(cols, 1.0);
  double least = std::numeric_limits<double>::infinity();
  for (int g = 0; g < kGrid && largest > 0; ++g) {
    const double threshold = largest * std::pow(0.9, g);
    std::vector<double> scales(cols);
    double weight_step = 0;
    double activation_step = 0;
    for (std::size_t j = 0; j < cols; ++j) {
      scales[j] = std::max(1.0, x.abs_max[j] / threshold);
      weight_step = std::max(weight_step, weight_max[j] * scales[j] / levels);
      activation_step = std::max(activation_step, x.abs_max[j] / scales[j] / 127);
    }
    double error = 0;
    for (std::size_t j = 0; j < cols; ++j) {
      error += static_cast<double>(task.rows) * x.sum_squares[j] / tokens / (scales[j] * scales[j]) *
               weight_step * weight_step;
      error += column_squares[j] * scales[j] * scales[j] * activation_step * activation_step;
    }
    if (error < least) {
      least = error;
      best = std::move(scales);
    }
  }
  return storable_scales(std::move(best));
}

}  // namespace twofold
