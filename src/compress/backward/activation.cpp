#include "compress/backward/activation.h"

#include <cmath>
#include <numbers>

namespace twofold {

ValueAndSlope activation_at(Activation activation, float x) {
  switch (activation) {
    case Activation::kSilu: {  // x s(x) with the logistic function s, s' = s (1 - s)
      const float s = 1 / (1 + std::exp(-x));
      return {x * s, s * (1 + x * (1 - s))};
    }
    case Activation::kRelu:
      return x > 0 ? ValueAndSlope{x, 1} : ValueAndSlope{0, 0};
    case Activation::kGelu: {  // x Phi(x)
      const float phi = 0.5F * std::erfc(-x / std::numbers::sqrt2_v<float>);
      const float density =
          std::exp(-0.5F * x * x) * std::numbers::inv_sqrtpi_v<float> / std::numbers::sqrt2_v<float>;
      return {x * phi, phi + x * density};
    }
    case Activation::kGeluTanh: {  // x / 2 (1 + tanh(u)), u = sqrt(2 / pi) (x + 0.044715 x^3)
      const float factor = std::numbers::sqrt2_v<float> * std::numbers::inv_sqrtpi_v<float>;
      const float t = std::tanh(factor * (x + 0.044715F * x * x * x));
      const float du = factor * (1 + 3 * 0.044715F * x * x);
      return {0.5F * x * (1 + t), 0.5F * (1 + t) + 0.5F * x * (1 - t * t) * du};
    }
  }
  return {};
}

}  // namespace twofold
