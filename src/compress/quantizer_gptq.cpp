#include "compress/feedback.h"
#include "compress/quantizer.h"

namespace twofold {

/// GPTQ (Frantar et al., arXiv 2210.17323, algorithm 1) on the steps of quantizer_rtn.cpp.
QuantizedLinear quantize_gptq(const LinearTask& task, std::vector<float> input_scale) {
  const int levels = levels_of(task.recipe.width);
  std::vector<float> steps = absmax_steps(task, input_scale);
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
  out.error = result.error();
  out.matrix.q = std::move(result.q);
  out.matrix.parts = parts_of(task, std::move(steps), std::move(input_scale));
  return out;
}

}  // namespace twofold
