#include <algorithm>

#include "compress/pruner.h"

namespace twofold {

/// |W_ij| * a_j with a_j = max |X_tj|, over the whole matrix (Wang et al., arXiv 2502.15443, eq. 4).
void prune_dc(const LinearTask& task) {
  const std::vector<float>& a = task.statistics.abs_max;
  const bool seen = std::any_of(a.begin(), a.end(), [](float x) { return x > 0; });
  zero_smallest(task, seen ? a : std::vector<float>(a.size(), 1.0F), false);
}

}  // namespace twofold
