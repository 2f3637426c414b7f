#pragma once

#include <map>
#include <string>
#include <vector>

#include "compress/backward/pass.h"
#include "compress/calibration_text.h"

namespace twofold {

/// Gradients of the loss on the calibration text with respect to the weights of a model's linear layers, one
/// layer at a time. Keeps what enters every layer and the gradient of what leaves it, 2 * layers * tokens *
/// hidden_size floats, and works the rest out anew where it is asked for: the memory for weights and their
/// gradients is that of one layer.
class LossGradients {
 public:
  /// Runs the text forth and back through the model, which must outlive this, as the text must.
  LossGradients(Model& model, const CalibrationText& text);

  /// Shows the observer the gradients of a layer's linears, sequence by sequence. The loss of a sequence is
  /// the mean over its tokens.
  void visit(std::size_t layer, GradientObserver& observer) const;

  /// For each linear of the layer, by name, sqrt(sum over sequences of the squared gradient), [rows, cols]:
  /// how Pruner-Zero and, before it, GBLM-Pruner (Das et al., arXiv 2311.04902) add up samples. A linear that
  /// no token came to has none.
  std::map<std::string, AlignedVector<float>> norms(std::size_t layer) const;

  /// Mean loss over the sequences.
  double loss() const { return loss_; }

 private:
  /// The layer's way back for all sequences: `before` gets the gradients of its inputs.
  void run(std::size_t layer, GradientObserver* observer, AlignedVector<float>& before) const;

  Model& model_;
  const CalibrationText& text_;
  std::vector<AlignedVector<float>> inputs_;     // by layer, [tokens, hidden_size]
  std::vector<AlignedVector<float>> gradients_;  // of the layers' outputs
  double loss_ = 0;
};

}  // namespace twofold
