#include <algorithm>
#include <cmath>
#include <limits>

#include "compress/group_quantizer.h"
#include "compress/scaler.h"

namespace twofold {

/// s_j = mean|X_j|^alpha, alpha from a grid of 20 by the error of the layer's output (Lin et al., arXiv
/// 2306.00978, eq. 4 and 5), here with the channels taken as uncorrelated: sum over ij of E[x_j^2] times the
/// squared error of W_ij after quantization in groups. As in their code the scales are divided by
/// sqrt(max * min).
std::vector<float> scale_awq(const LinearTask& task) {
  constexpr int kGrid = 20;
  const std::size_t cols = task.width();
  const std::vector<float> mean_abs = task.statistics.mean_abs();
  std::vector<float> best;
  double least = std::numeric_limits<double>::infinity();
  for (int g = 0; g < kGrid; ++g) {
    std::vector<double> scales(cols);
    for (std::size_t j = 0; j < cols; ++j) {
      scales[j] = std::max(std::pow(static_cast<double>(mean_abs[j]), static_cast<double>(g) / kGrid), 1e-4);
    }
    const auto [min, max] = std::minmax_element(scales.begin(), scales.end());
    const double center = std::sqrt(*min * *max);
    for (double& s : scales) s /= center;
    const std::vector<float> candidate = storable_scales(std::move(scales));
    std::vector<double> errors(static_cast<std::size_t>(task.rows));
    task.pool.run(errors.size(), [&](std::size_t begin, std::size_t end, int) {
      std::vector<float> row(cols);
      for (std::size_t r = begin; r < end; ++r) {
        quantize_row_in_groups(task.weights.subspan(r * cols, cols), candidate,
                               static_cast<std::size_t>(task.recipe.group), task.recipe.width, row, nullptr);
        for (std::size_t j = 0; j < cols; ++j) {
          const double difference = row[j] - task.weights[r * cols + j];
          errors[r] += task.statistics.sum_squares[j] * difference * difference;
        }
      }
    });
    double error = 0;
    for (const double e : errors) error += e;
    if (error < least) {
      least = error;
      best = candidate;
    }
  }
  return best;
}

}  // namespace twofold
