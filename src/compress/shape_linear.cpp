#include "compress/shape_linear.h"

#include <algorithm>
#include <numeric>

#include "compress/pruner.h"
#include "compress/scaler.h"

namespace twofold {

QuantizedLinear shape_linear(const LinearSpec& linear, std::span<float> weights,
                             const ChannelStatistics& statistics, const ErrorMetric* metric, double step,
                             const Recipe& recipe, ThreadPool& pool, std::span<const float> gradient,
                             std::vector<float> scales) {
  const LinearTask task{linear.name, linear.rows, linear.cols, weights, statistics,
                        metric,      step,        recipe,      pool,    gradient};
  if (scales.empty()) scales = find_scaler(recipe.scaler).scales(task);
  if (recipe.sparsity > 0) find_pruner(recipe.pruner).prune(task);
  QuantizedLinear out = find_quantizer(recipe.quantizer).quantize(task, std::move(scales));
  if (recipe.activations == ActivationMode::kPerTensorStatic)
    out.matrix.parts.activation_step = static_activation_step(statistics, out.matrix.parts.input_scale);
  return out;
}

bool needs_moments(const Recipe& recipe) {
  return find_quantizer(recipe.quantizer).moments ||
         (recipe.sparsity > 0 && find_pruner(recipe.pruner).moments);
}

bool needs_gradients(const Recipe& recipe) {
  return recipe.sparsity > 0 && find_pruner(recipe.pruner).gradients;
}

const ErrorMetric& MetricCache::of(const ChannelStatistics& statistics) {
  if (statistics_ == &statistics) return metric_;
  const std::size_t cols = statistics.abs_max.size();
  metric_ = {};  // its memory first
  statistics_ = nullptr;
  // The factor is worked through from its last column to its first, so GPTQ's order is the reverse.
  std::vector<std::int32_t> order(cols);
  std::iota(order.rbegin(), order.rend(), 0);
  if (recipe_.order == "activation") {  // the channel with the most energy first
    std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
      return statistics.sum_squares[static_cast<std::size_t>(a)] <
             statistics.sum_squares[static_cast<std::size_t>(b)];
    });
  }
  metric_ =
      make_error_metric(statistics.gram, cols, statistics.tokens, recipe_.damping, std::move(order), pool_);
  statistics_ = &statistics;
  return metric_;
}

}  // namespace twofold
