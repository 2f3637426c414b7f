#include <algorithm>
#include <cmath>

#include "compress/scaler.h"

namespace twofold {

/// s_j = a_j^alpha / max_i |W_ij|^(1 - alpha) (Xiao et al., arXiv 2211.10438, eq. 4). As there, both are at
/// least 1e-5.
std::vector<float> scale_smoothquant(const LinearTask& task) {
  const std::size_t cols = task.width();
  std::vector<float> weight_max(cols);
  for (std::size_t i = 0; i < task.weights.size(); ++i) {
    float& max = weight_max[i % cols];
    max = std::max(max, std::fabs(task.weights[i]));
  }
  std::vector<double> scales;
  for (std::size_t j = 0; j < cols; ++j) {
    const double a = std::max(task.statistics.abs_max[j], 1e-5F);
    const double w = std::max(weight_max[j], 1e-5F);
    scales.push_back(std::pow(a, task.recipe.alpha) / std::pow(w, 1 - task.recipe.alpha));
  }
  return storable_scales(std::move(scales));
}

}  // namespace twofold
