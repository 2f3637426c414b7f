#pragma once

#include "model/model_spec.h"

namespace twofold {

struct ValueAndSlope {
  float value = 0;
  float slope = 0;
};

/// An activation function and its derivative at x.
ValueAndSlope activation_at(Activation activation, float x);

}  // namespace twofold
