#include <algorithm>
#include <cmath>

#include "compress/quantizer.h"

namespace twofold {

/// Round to nearest: one step for the tensor or for each row, the largest |w_ij s_j| over 2^(width - 1) - 1.
QuantizedLinear quantize_rtn(const LinearTask& task, std::vector<float> input_scale) {
  const std::size_t cols = task.width();
  const auto levels = static_cast<float>(levels_of(task.recipe.width));
  std::vector<float> steps = absmax_steps(task, input_scale);
  QuantizedLinear out;
  out.matrix.q.resize(task.weights.size());
  task.pool.run(static_cast<std::size_t>(task.rows), [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t r = begin; r < end; ++r) {
      const float inverse = 1.0F / steps[steps.size() > 1 ? r : 0];
      for (std::size_t j = 0; j < cols; ++j) {
        const float x = task.weights[r * cols + j] * (input_scale.empty() ? 1.0F : input_scale[j]) * inverse;
        out.matrix.q[r * cols + j] = static_cast<std::int8_t>(std::clamp(std::nearbyint(x), -levels, levels));
      }
    }
  });
  out.matrix.parts = parts_of(task, std::move(steps), std::move(input_scale));
  return out;
}

}  // namespace twofold
