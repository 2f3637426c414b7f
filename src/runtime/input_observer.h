#pragma once

#include <cstdint>
#include <span>

#include "model/model_spec.h"

namespace twofold {

/// Sees what enters the linear layers, for calibration.
class InputObserver {
 public:
  virtual ~InputObserver() = default;
  /// x [tokens, cols] is the input of every linear in the list. Called once for each layer of a pass; an
  /// expert that no token was sent to has none. The linears compute when it returns: it may put others in
  /// their place in the LayerWeights.
  virtual void observe(std::span<const LinearSpec* const> linears, const float* x, std::int64_t tokens) = 0;
};

}  // namespace twofold
