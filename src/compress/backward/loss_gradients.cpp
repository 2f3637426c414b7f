#include "compress/backward/loss_gradients.h"

#include <algorithm>
#include <cmath>

#include "base/interrupt.h"
#include "base/progress.h"
#include "compress/backward/layer.h"
#include "compress/backward/loss.h"
#include "compress/calibration_run.h"

namespace twofold {

namespace {

/// Adds up squares of the gradients of weights.
class SquareSums final : public GradientObserver {
 public:
  explicit SquareSums(ThreadPool& pool) : pool_(pool) {}

  void observe(const LinearSpec& linear, const float* x, const float* dy, std::int64_t tokens) override {
    const auto rows = static_cast<std::size_t>(linear.rows);
    const auto cols = static_cast<std::size_t>(linear.cols);
    gradient_.resize(rows * cols);
    backward_weight(dy, x, static_cast<std::size_t>(tokens), rows, cols, gradient_.data(), pool_);
    AlignedVector<float>& sum = sums[linear.name];
    if (sum.empty()) sum.assign(rows * cols, 0.0F);
    pool_.run(rows, [&](std::size_t begin, std::size_t end, int) {
      for (std::size_t i = begin * cols; i < end * cols; ++i) sum[i] += gradient_[i] * gradient_[i];
    });
  }

  std::map<std::string, AlignedVector<float>> sums;

 private:
  ThreadPool& pool_;
  AlignedVector<float> gradient_;
};

}  // namespace

LossGradients::LossGradients(Model& model, const CalibrationText& text) : model_(model), text_(text) {
  const ModelSpec& spec = model.spec();
  Progress progress("Measuring gradients", 2 * spec.layers.size());
  CalibrationRun run(text, embed_text(model, text));
  for (std::size_t layer = 0; layer < spec.layers.size(); ++layer) {
    check_interrupt();
    inputs_.push_back(run.hidden());
    run.step(model, layer, model.layer(layer), nullptr);
    model.release_layer(layer);
    progress.advance(1);
  }
  gradients_.resize(spec.layers.size());
  if (gradients_.empty()) return;
  const auto width = static_cast<std::size_t>(spec.hidden_size);
  gradients_.back().resize(run.hidden().size());
  std::size_t offset = 0;
  for (const std::vector<TokenId>& sequence : text.sequences) {
    check_interrupt();
    loss_ += backward_loss(model, sequence, &run.hidden()[offset], &gradients_.back()[offset]) /
             static_cast<double>(text.sequences.size());
    offset += sequence.size() * width;
  }
  for (std::size_t layer = spec.layers.size() - 1; layer > 0; --layer) {
    this->run(layer, nullptr, gradients_[layer - 1]);
    progress.advance(1);
  }
}

void LossGradients::visit(std::size_t layer, GradientObserver& observer) const {
  AlignedVector<float> unused;
  run(layer, &observer, unused);
}

std::map<std::string, AlignedVector<float>> LossGradients::norms(std::size_t layer) const {
  SquareSums squares(model_.workspace().pool());
  visit(layer, squares);
  for (auto& [name, sum] : squares.sums)
    std::transform(sum.begin(), sum.end(), sum.begin(), [](float x) { return std::sqrt(x); });
  return std::move(squares.sums);
}

void LossGradients::run(std::size_t layer, GradientObserver* observer, AlignedVector<float>& before) const {
  const ModelSpec& spec = model_.spec();
  const LayerSpec& layer_spec = spec.layers[layer];
  std::vector<const LinearSpec*> linears = layer_spec.linears();
  for (const LinearSpec* router : layer_spec.routers()) linears.push_back(router);
  const LinearMatrices matrices(model_.checkpoint(), linears, model_.workspace().pool());
  before = gradients_[layer];
  std::size_t offset = 0;
  for (const std::vector<TokenId>& sequence : text_.sequences) {
    check_interrupt();
    const auto tokens = static_cast<std::int64_t>(sequence.size());
    const LayerSlice slice{nullptr, 0, tokens};
    const BackwardPass pass{spec,   matrices,           model_.positions({&slice, 1}),
                            tokens, model_.workspace(), observer};
    backward_layer(pass, layer_spec, model_.layer(layer), &inputs_[layer][offset], &before[offset]);
    offset += sequence.size() * static_cast<std::size_t>(spec.hidden_size);
  }
  model_.release_layer(layer);
}

}  // namespace twofold
