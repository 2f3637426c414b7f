#include "compress/layer_shaper.h"

#include <algorithm>
#include <functional>

#include "base/interrupt.h"
#include "compress/channel_scales.h"
#include "compress/stage_one.h"
#include "compress/watersic.h"

namespace twofold {

LayerShaper::LayerShaper(Model& model, const CalibrationText& text, const Recipe& recipe, RatePlan* plan,
                         const Embedding* embedding)
    : model_(model),
      recipe_(recipe),
      plan_(plan),
      pool_(model.workspace().pool()),
      run_(text, embed_text(model, text, recipe.sequential ? embedding : nullptr)) {
  if (needs_gradients(recipe)) gradients_.emplace(model, text);
}

std::vector<ShapedLinear> LayerShaper::next(StatisticsCollector& statistics) {
  if (gradients_) layer_gradients_ = gradients_->norms(layer_);
  std::vector<ShapedLinear> shaped;
  if (recipe_.sequential) {
    run_sequential(statistics, shaped);
  } else {
    run_.step(model_, layer_, model_.layer(layer_), &statistics);
    const std::vector<const LinearSpec*> linears = model_.spec().layers[layer_].linears();
    for (std::size_t begin = 0; begin < linears.size();) {
      const ChannelStatistics& inputs = statistics.at(*linears[begin]);
      std::size_t end = begin + 1;
      while (end < linears.size() && &statistics.at(*linears[end]) == &inputs) ++end;
      shape(std::span(linears).subspan(begin, end - begin), inputs, shaped);
      begin = end;
    }
  }
  ++layer_;
  return shaped;
}

namespace {

/// The place of a linear in its layer's weights.
std::unique_ptr<Linear>* find_place(const FeedForwardSpec& spec, FeedForwardWeights& weights,
                                    const LinearSpec& linear) {
  for (std::size_t i = 0; i < spec.in.size(); ++i) {
    if (&spec.in[i] == &linear) return &weights.in[i];
  }
  return &spec.down == &linear ? &weights.down : nullptr;
}

std::unique_ptr<Linear>* find_place(const LayerSpec& spec, LayerWeights& weights, const LinearSpec& linear) {
  for (std::size_t i = 0; i < spec.attention.qkv.size(); ++i) {
    if (&spec.attention.qkv[i] == &linear) return &weights.attention.qkv[i];
  }
  if (&spec.attention.out == &linear) return &weights.attention.out;
  if (!spec.moe) return find_place(spec.feed_forward, weights.feed_forward, linear);
  for (std::size_t e = 0; e < spec.moe->experts.size(); ++e) {
    if (auto* place = find_place(spec.moe->experts[e], weights.moe->experts[e], linear)) return place;
  }
  return find_place(spec.moe->shared, weights.moe->shared, linear);
}

/// Calls a function with what enters linears.
class Hook final : public InputObserver {
 public:
  using Function =
      std::function<void(std::span<const LinearSpec* const>, const float* x, std::int64_t tokens)>;
  explicit Hook(Function function) : function_(std::move(function)) {}
  void observe(std::span<const LinearSpec* const> linears, const float* x, std::int64_t tokens) override {
    function_(linears, x, tokens);
  }

 private:
  Function function_;
};

}  // namespace

void LayerShaper::run_sequential(StatisticsCollector& statistics, std::vector<ShapedLinear>& shaped) {
  LayerWeights weights = model_.load_layer(layer_);
  const LayerSpec& spec = model_.spec().layers[layer_];
  Hook hook([&](std::span<const LinearSpec* const> linears, const float* x, std::int64_t tokens) {
    statistics.observe(linears, x, tokens);
    const std::size_t before = shaped.size();
    shape(linears, statistics.at(*linears[0]), shaped);
    statistics.drop_gram(*linears[0]);
    for (std::size_t i = before; i < shaped.size(); ++i) {
      *find_place(spec, weights, *shaped[i].linear) =
          model_.load_linear(*shaped[i].linear, shaped[i].tensor->tensor(), recipe_.activations);
    }
  });
  run_.step(model_, layer_, weights, &hook, true);
}

void LayerShaper::shape(std::span<const LinearSpec* const> linears, const ChannelStatistics& inputs,
                        std::vector<ShapedLinear>& shaped) {
  std::vector<const LinearSpec*> wanted;
  for (const LinearSpec* linear : linears) {
    if (!recipe_.skips(linear->weight())) wanted.push_back(linear);
  }
  if (wanted.empty()) return;
  MetricCache metrics(recipe_, pool_);
  const ErrorMetric* metric = needs_moments(recipe_) ? &metrics.of(inputs) : nullptr;
  weights_.resize(std::max(weights_.size(), wanted.size()));
  std::vector<SteppedLinear> stepped;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    check_interrupt();
    weights_[i] = load_linear(model_.checkpoint(), *wanted[i], pool_, std::move(weights_[i]));
    if (plan_ != nullptr) plan_->found_unit(wanted[i]->name, rate_unit(weights_[i], *metric, pool_));
  }
  ChannelScales scales;
  if (plan_ != nullptr) {
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      const double step = plan_->take_step(wanted[i]->name);
      stepped.push_back({weights_[i], step});
    }
    scales = channel_scales(*metric, stepped, pool_);
  }
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    check_interrupt();
    const double step =
        plan_ != nullptr ? stepped[i].step * geometric_mean(metric->diagonal) / scales.norm : 0;
    QuantizedLinear result = shape_linear(*wanted[i], weights_[i], inputs, metric, step, recipe_, pool_,
                                          layer_gradients_[wanted[i]->name], scales.scales);
    ShapedLinear& out = shaped.emplace_back();
    out.linear = wanted[i];
    out.bits = result.bits;
    if (result.floats.empty()) {
      out.tensor = std::make_unique<MemoryTensor>(std::move(result.matrix));
    } else {
      out.floats = std::move(result.floats);
    }
  }
}

}  // namespace twofold
