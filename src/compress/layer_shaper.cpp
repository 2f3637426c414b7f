#include "compress/layer_shaper.h"

#include "base/interrupt.h"
#include "compress/stage_one.h"

namespace twofold {

LayerShaper::LayerShaper(Model& model, const CalibrationText& text, const Recipe& recipe,
                         const RatePlan* plan, const Embedding* embedding)
    : model_(model),
      recipe_(recipe),
      plan_(plan),
      pool_(model.workspace().pool()),
      run_(text, embed_text(model, text, recipe.sequential ? embedding : nullptr)) {
  if (needs_gradients(recipe)) gradients_.emplace(model, text);
}

std::vector<ShapedLinear> LayerShaper::next(StatisticsCollector& statistics) {
  AlignedVector<float> before;
  if (recipe_.sequential) before = run_.hidden();
  run_.step(model_, layer_, model_.layer(layer_), &statistics);
  const bool moments = needs_moments(recipe_);
  MetricCache metrics(recipe_, pool_);
  std::map<std::string, AlignedVector<float>> gradients;
  if (gradients_) gradients = gradients_->norms(layer_);
  std::vector<ShapedLinear> shaped;
  for (const LinearSpec* linear : model_.spec().layers[layer_].linears()) {
    if (recipe_.skips(linear->weight())) continue;
    check_interrupt();
    AlignedVector<float> weights = load_linear(model_.checkpoint(), *linear, pool_);
    const ChannelStatistics& inputs = statistics.at(*linear);
    QuantizedLinear result = shape_linear(*linear, weights, inputs, moments ? &metrics.of(inputs) : nullptr,
                                          plan_ != nullptr ? plan_->step(linear->name) : 0, recipe_, pool_,
                                          gradients[linear->name]);
    ShapedLinear& out = shaped.emplace_back();
    out.linear = linear;
    out.bits = result.bits;
    if (result.floats.empty()) {
      out.tensor = std::make_unique<MemoryTensor>(std::move(result.matrix));
    } else {
      out.floats = std::move(result.floats);
    }
  }
  if (recipe_.sequential) {
    const auto find = [&](const LinearSpec& linear) -> const CodedTensor* {
      for (const ShapedLinear& one : shaped) {
        if (one.linear->name == linear.name) return &one.tensor->tensor();
      }
      return nullptr;
    };
    run_.hidden() = std::move(before);
    run_.step(model_, layer_, model_.load_layer(layer_, find, recipe_.activations), nullptr);
  }
  ++layer_;
  return shaped;
}

}  // namespace twofold
