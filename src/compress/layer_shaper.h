#pragma once

#include <map>
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
/// them, the second moments of one layer's inputs; of one linear's, when the recipe is sequential.
class LayerShaper {
 public:
  /// `plan` for quantizers with a rate, else nullptr. `embedding` stands in for the model's where given.
  LayerShaper(Model& model, const CalibrationText& text, const Recipe& recipe, RatePlan* plan,
              const Embedding* embedding);

  /// The linears of the next layer, but for those skipped, in the order in which they run; `statistics` gets
  /// what calibration saw. The calibration tokens go on through the layer: as it is, or, when the recipe is
  /// sequential, with its new weights, each of which takes its place before the layer computes with it.
  std::vector<ShapedLinear> next(StatisticsCollector& statistics);

  /// What the calibration tokens have become, [tokens, hidden_size].
  AlignedVector<float>& hidden() { return run_.hidden(); }

 private:
  /// Linears with one input: quantizes those that are not skipped.
  void shape(std::span<const LinearSpec* const> linears, const ChannelStatistics& inputs,
             std::vector<ShapedLinear>& shaped);
  void run_sequential(StatisticsCollector& statistics, std::vector<ShapedLinear>& shaped);

  Model& model_;
  const Recipe& recipe_;
  RatePlan* plan_;
  ThreadPool& pool_;
  CalibrationRun run_;
  std::map<std::string, AlignedVector<float>> layer_gradients_;  // of the layer
  std::optional<LossGradients> gradients_;  // of the original, for pruners that need them
  std::size_t layer_ = 0;
  std::vector<AlignedVector<float>> weights_;  // memory to use again
};

}  // namespace twofold
