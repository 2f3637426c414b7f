#pragma once

#include <cstdint>
#include <vector>

#include "compress/calibration_text.h"
#include "runtime/model.h"

namespace twofold {

/// The calibration tokens on their way through a model, one layer at a time, so that no more than one
/// layer's weights are needed at once.
class CalibrationRun {
 public:
  /// Starts from embeddings given for all tokens of `text`, sequence after sequence: [tokens, hidden_size].
  CalibrationRun(const CalibrationText& text, AlignedVector<float> hidden)
      : text_(text), hidden_(std::move(hidden)) {}

  /// Applies a layer to every sequence, some thousand tokens at a time to save memory, or to all at once.
  void step(Model& model, std::size_t layer, const LayerWeights& weights, InputObserver* observer,
            bool at_once = false);

  AlignedVector<float>& hidden() { return hidden_; }

 private:
  const CalibrationText& text_;
  AlignedVector<float> hidden_;  // [tokens, hidden_size]
};

/// Embeddings of all tokens of the text, of the model's own table or another one.
AlignedVector<float> embed_text(Model& model, const CalibrationText& text,
                                const Embedding* replacement = nullptr);

}  // namespace twofold
