#include <algorithm>
#include <cmath>

#include "compress/group_quantizer.h"
#include "compress/quantizer.h"

namespace twofold {

void quantize_row_in_groups(std::span<const float> row, std::span<const float> scales, std::size_t group,
                            int width, std::span<float> out, Histogram* histogram) {
  const auto levels = static_cast<float>(levels_of(width));
  for (std::size_t first = 0; first < row.size(); first += group) {
    const std::size_t end = std::min(row.size(), first + group);
    float max = 0;
    const auto scale = [&](std::size_t j) { return scales.empty() ? 1.0F : scales[j]; };
    for (std::size_t j = first; j < end; ++j) max = std::max(max, std::fabs(row[j] * scale(j)));
    const float step = max > 0 ? max / levels : 1.0F;
    for (std::size_t j = first; j < end; ++j) {
      const float q = std::clamp(std::nearbyint(row[j] * scale(j) / step), -levels, levels);
      out[j] = q * step / scale(j);
      if (histogram != nullptr) ++(*histogram)[static_cast<std::uint8_t>(static_cast<std::int8_t>(q))];
    }
  }
}

/// Round to nearest with one step for each group of inputs of a row. Its bits are the order-0 entropy of the
/// integers and 16 for each step.
QuantizedLinear quantize_groups(const LinearTask& task, std::vector<float> input_scale) {
  const std::size_t cols = task.width();
  const auto group = static_cast<std::size_t>(task.recipe.group);
  QuantizedLinear out;
  out.floats.resize(task.weights.size());
  Histogram histogram{};
  for (std::size_t r = 0; r < static_cast<std::size_t>(task.rows); ++r) {
    quantize_row_in_groups(task.weights.subspan(r * cols, cols), input_scale, group, task.recipe.width,
                           {&out.floats[r * cols], cols}, &histogram);
  }
  const std::size_t groups = static_cast<std::size_t>(task.rows) * ((cols + group - 1) / group);
  out.bits = order0_entropy(histogram) * static_cast<double>(task.weights.size()) +
             16.0 * static_cast<double>(groups + input_scale.size());
  return out;
}

}  // namespace twofold
