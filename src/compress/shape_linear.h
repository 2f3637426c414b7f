#pragma once

#include <memory>

#include "compress/quantizer.h"
#include "runtime/model.h"

namespace twofold {

/// Stage one of one linear: scaler, pruner, quantizer of the recipe. `weights` are spoilt. `metric` may be
/// nullptr when needs_moments() is false; `step`, and `scales` in place of the scaler's where given, are for
/// quantizers with a rate, `gradient` for pruners that need it (LossGradients::norms).
QuantizedLinear shape_linear(const LinearSpec& linear, std::span<float> weights,
                             const ChannelStatistics& statistics, const ErrorMetric* metric, double step,
                             const Recipe& recipe, ThreadPool& pool, std::span<const float> gradient = {},
                             std::vector<float> scales = {});

/// True when a method of the recipe asks for LinearTask::metric.
bool needs_moments(const Recipe& recipe);
/// True when one asks for LinearTask::gradient.
bool needs_gradients(const Recipe& recipe);

/// The error metrics of a layer's linears, made when they are asked for. Linears with the same input share
/// one; only the last is kept.
class MetricCache {
 public:
  MetricCache(const Recipe& recipe, ThreadPool& pool) : recipe_(recipe), pool_(pool) {}
  const ErrorMetric& of(const ChannelStatistics& statistics);
  void clear() { statistics_ = nullptr; }

 private:
  const Recipe& recipe_;
  ThreadPool& pool_;
  const ChannelStatistics* statistics_ = nullptr;
  ErrorMetric metric_;
};

}  // namespace twofold
