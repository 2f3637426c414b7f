#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "compress/backward/loss_gradients.h"
#include "compress/calibration_run.h"
#include "compress/memory_tensor.h"
#include "compress/rate_plan.h"
#include "compress/shape_linear.h"

namespace twofold {

/// A linear layer as it will be stored.
struct ShapedLinear {
  const LinearSpec* linear = nullptr;
  std::unique_ptr<MemoryTensor> tensor;  // or
  AlignedVector<float> floats;           // of a method for evaluation only: [rows, cols], and its bits
  double bits = 0;
};

/// Stage one, layer by layer, for any recipe. Holds one layer's quantized weights and, where a method needs
/// them, the second moments of one layer's inputs.
class LayerShaper {
 public:
  /// `plan` for quantizers with a rate, else nullptr. `embedding` stands in for the model's where given.
  LayerShaper(Model& model, const CalibrationText& text, const Recipe& recipe, const RatePlan* plan,
              const Embedding* embedding);

  /// The linears of the next layer, but for those skipped, in the order in which they run; `statistics` gets
  /// what calibration saw. The calibration tokens go on through the layer: as it is, or, when the recipe is
  /// sequential, with its new weights.
  std::vector<ShapedLinear> next(StatisticsCollector& statistics);

  /// What the calibration tokens have become, [tokens, hidden_size].
  AlignedVector<float>& hidden() { return run_.hidden(); }

 private:
  Model& model_;
  const Recipe& recipe_;
  const RatePlan* plan_;
  ThreadPool& pool_;
  CalibrationRun run_;
  std::optional<LossGradients> gradients_;  // of the original, for pruners that need them
  std::size_t layer_ = 0;
};

}  // namespace twofold
