#include "compress/pruner.h"

namespace twofold {

/// |W_ij|, over the whole matrix.
void prune_magnitude(const LinearTask& task) {
  zero_smallest(task, std::vector<float>(task.width(), 1.0F), false);
}

}  // namespace twofold
