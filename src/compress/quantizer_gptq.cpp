#include <algorithm>

#include "compress/feedback.h"
#include "compress/quantizer.h"

namespace twofold {

/// GPTQ (Frantar et al., arXiv 2210.17323, algorithm 1) on the steps of quantizer_rtn.cpp.
QuantizedLinear quantize_gptq(const LinearTask& task, std::vector<float> input_scale) {
  const int levels = levels_of(task.recipe.width);
  std::vector<float> steps = row_maxima(task, input_scale);
  if (task.recipe.granularity == "tensor") steps = {*std::max_element(steps.begin(), steps.end())};
  for (float& step : steps) step = usable_step(step, static_cast<float>(levels));
  std::vector<float> column_step(task.width(), 1.0F);
  for (std::size_t j = 0; j < input_scale.size(); ++j) column_step[j] = 1.0F / input_scale[j];
  FeedbackResult result = quantize_with_feedback({.metric = *task.metric,
                                                  .weights = task.weights,
                                                  .column_step = column_step,
                                                  .row_step = steps,
                                                  .levels = levels,
                                                  .keep_zeros = task.recipe.sparsity > 0},
                                                 task.pool);
  QuantizedLinear out;
  out.error = result.error;
  out.matrix.q = std::move(result.q);
  out.matrix.parts.rows = task.rows;
  out.matrix.parts.cols = task.cols;
  out.matrix.parts.scale = std::move(steps);
  out.matrix.parts.input_scale = std::move(input_scale);
  return out;
}

}  // namespace twofold
