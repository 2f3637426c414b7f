#include <cmath>

#include "compress/quantizer.h"
#include "tensor/dtype.h"

namespace twofold {

/// LLM.int8() (Dettmers et al., arXiv 2208.07339): input channels whose activations reach 6 keep 16-bit
/// weights (here BF16), the others are INT8 with one step per row. Its bits are the order-0 entropy of the
/// integers, 16 for each weight of an outlier channel and 16 for each step.
QuantizedLinear quantize_llm_int8(const LinearTask& task, std::vector<float> input_scale) {
  constexpr float kThreshold = 6;
  const std::size_t cols = task.width();
  QuantizedLinear out;
  out.floats.resize(task.weights.size());
  Histogram histogram{};
  std::size_t kept = 0;
  for (std::size_t r = 0; r < static_cast<std::size_t>(task.rows); ++r) {
    const auto scale = [&](std::size_t j) { return input_scale.empty() ? 1.0F : input_scale[j]; };
    const auto outlier = [&](std::size_t j) { return task.statistics.abs_max[j] / scale(j) >= kThreshold; };
    float max = 0;
    for (std::size_t j = 0; j < cols; ++j) {
      if (!outlier(j)) max = std::max(max, std::fabs(task.weights[r * cols + j] * scale(j)));
    }
    const float step = max > 0 ? max / 127 : 1.0F;
    for (std::size_t j = 0; j < cols; ++j) {
      const float w = task.weights[r * cols + j] * scale(j);
      if (outlier(j)) {
        out.floats[r * cols + j] = bf16_to_float(float_to_bf16(w)) / scale(j);
        ++kept;
        continue;
      }
      const float q = std::nearbyint(w / step);
      out.floats[r * cols + j] = q * step / scale(j);
      ++histogram[static_cast<std::uint8_t>(static_cast<std::int8_t>(q))];
    }
  }
  out.bits = order0_entropy(histogram) * static_cast<double>(task.weights.size() - kept) +
             16.0 * static_cast<double>(kept + static_cast<std::size_t>(task.rows) + input_scale.size());
  return out;
}

}  // namespace twofold
