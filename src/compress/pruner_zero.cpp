#include <algorithm>
#include <cmath>

#include "compress/pruner.h"

namespace twofold {

/// Pruner-Zero (Dong et al., arXiv 2406.02924): |W| |W| mms(|G|), compared inside each output row,
/// where G is the gradient of the loss and mms scales it to [0, 1] over the matrix by its minimum and
/// maximum. Where no gradient is known, or all are equal, the weights alone decide.
void prune_zero(const LinearTask& task) {
  const auto g = task.gradient;
  float low = 0;
  float high = 0;
  if (!g.empty()) {
    low = *std::min_element(g.begin(), g.end());
    high = *std::max_element(g.begin(), g.end());
  }
  std::vector<float> scores(task.weights.size());
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const float scaled = high > low ? (g[i] - low) / (high - low) : 1.0F;
    scores[i] = task.weights[i] * task.weights[i] * scaled;
  }
  zero_smallest_of_rows(task, scores);
}

}  // namespace twofold
