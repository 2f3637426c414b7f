#include "compress/quantizer.h"

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "kernels/ops.h"

namespace twofold {

namespace {

#define TWOFOLD_ENTRY(...) {__VA_ARGS__},
constexpr Quantizer kQuantizers[] = {TWOFOLD_QUANTIZERS(TWOFOLD_ENTRY)};
#undef TWOFOLD_ENTRY

}  // namespace

std::span<const Quantizer> quantizers() {
  return kQuantizers;
}

const Quantizer& find_quantizer(std::string_view name) {
  std::string names;
  for (const Quantizer& one : kQuantizers) {
    if (one.name == name) return one;
    names += names.empty() ? "" : ", ";
    names += one.name;
  }
  fail("expected one of {}, found {}", names, json_quote(name));
}

std::vector<float> row_maxima(const LinearTask& task, std::span<const float> input_scale) {
  const std::size_t cols = task.width();
  std::vector<float> maxima(static_cast<std::size_t>(task.rows));
  task.pool.run(maxima.size(), [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t r = begin; r < end; ++r) {
      maxima[r] =
          ops().abs_max(&task.weights[r * cols], input_scale.empty() ? nullptr : input_scale.data(), cols);
    }
  });
  return maxima;
}

std::vector<float> absmax_steps(const LinearTask& task, std::span<const float> input_scale) {
  std::vector<float> steps = row_maxima(task, input_scale);
  if (task.recipe.granularity == "tensor") steps = {*std::max_element(steps.begin(), steps.end())};
  for (float& step : steps) step = usable_step(step, static_cast<float>(levels_of(task.recipe.width)));
  return steps;
}

CodedTensorParts parts_of(const LinearTask& task, std::vector<float> scale, std::vector<float> input_scale) {
  CodedTensorParts parts;
  parts.rows = task.rows;
  parts.cols = task.cols;
  parts.scale = std::move(scale);
  parts.input_scale = std::move(input_scale);
  return parts;
}

}  // namespace twofold
