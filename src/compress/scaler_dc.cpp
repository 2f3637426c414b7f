#include "compress/scaler.h"
#include "compress/stage_one.h"

namespace twofold {

/// s_j = a_j^alpha (Wang et al., arXiv 2502.15443, eq. 1).
std::vector<float> scale_dc(const LinearTask& task) {
  if (task.recipe.alpha == 0) return {};
  return dc_scales(task.statistics.abs_max, task.recipe.alpha);
}

}  // namespace twofold
