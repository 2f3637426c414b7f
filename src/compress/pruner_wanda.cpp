#include <algorithm>

#include "compress/pruner.h"

namespace twofold {

/// |W_ij| * ||X_j||_2, compared inside each output row (Sun et al., arXiv 2306.11695, eq. 1).
void prune_wanda(const LinearTask& task) {
  std::vector<float> norm = task.statistics.l2_norm();
  if (std::all_of(norm.begin(), norm.end(), [](float x) { return x == 0; })) {
    std::fill(norm.begin(), norm.end(), 1.0F);  // no token came here
  }
  zero_smallest(task, norm, true);
}

}  // namespace twofold
