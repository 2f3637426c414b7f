#include <cmath>

#include "compress/feedback.h"
#include "compress/quantizer.h"
#include "compress/scaler.h"
#include "compress/watersic.h"

namespace twofold {

std::vector<float> watersic_scales(const ErrorMetric& metric) {
  // The geometric mean is taken out: it goes to the scale of the tensor.
  const double mean = geometric_mean(metric.diagonal);
  std::vector<double> scales(metric.cols);
  for (std::size_t k = 0; k < metric.cols; ++k) scales[metric.channel(k)] = metric.diagonal[k] / mean;
  return storable_scales(std::move(scales));
}

double geometric_mean(std::span<const float> values) {
  double sum = 0;
  for (const float value : values) sum += std::log(static_cast<double>(value));
  return std::exp(sum / static_cast<double>(values.size()));
}

/// WaterSIC (Lifar et al., arXiv 2603.04956): error feedback with a step per input channel that is inverse
/// to the diagonal of the metric's factor, so that the rounding of every weight costs the same at the output:
/// step^2 / 12, for a step in units of the output.
QuantizedLinear quantize_watersic(const LinearTask& task, std::vector<float> input_scale) {
  const std::size_t cols = task.width();
  QuantizedLinear out;
  out.matrix.parts.rows = task.rows;
  out.matrix.parts.cols = task.cols;
  out.matrix.parts.input_scale = input_scale.empty() ? watersic_scales(*task.metric) : std::move(input_scale);
  const auto step = static_cast<float>(task.step / geometric_mean(task.metric->diagonal));
  out.matrix.parts.scale = {step};
  std::vector<float> column_step;
  for (const float s : out.matrix.parts.input_scale) column_step.push_back(1.0F / s);
  SymbolPrices prices;
  if (task.recipe.rate_price > 0) {
    AlignedVector<std::int8_t> rounded(task.weights.size());
    const std::vector<float>& s = out.matrix.parts.input_scale;
    task.pool.run(static_cast<std::size_t>(task.rows), [&](std::size_t begin, std::size_t end, int) {
      for (std::size_t i = begin * cols; i < end * cols; ++i) {
        const float x = task.weights[i] * s[i % cols] / step;
        rounded[i] = static_cast<std::int8_t>(std::lround(std::fmin(std::fmax(x, -127.0F), 127.0F)));
      }
    });
    prices = make_prices(rounded, cols, task.recipe.rate_price);
  }
  FeedbackResult result = quantize_with_feedback({.metric = *task.metric,
                                                  .weights = task.weights,
                                                  .column_step = column_step,
                                                  .row_step = out.matrix.parts.scale,
                                                  .levels = 127,
                                                  .prices = task.recipe.rate_price > 0 ? &prices : nullptr,
                                                  .keep_zeros = task.recipe.sparsity > 0},
                                                 task.pool);
  out.error = result.error();
  out.matrix.q = std::move(result.q);
  return out;
}

}  // namespace twofold
