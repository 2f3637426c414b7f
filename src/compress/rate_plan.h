#pragma once

#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "compress/calibration_text.h"
#include "compress/recipe.h"

namespace twofold {

/// How the bits of a quantizer with a rate are shared among the linears of a model. The step of linear l, in
/// units of its output, is base_step / sqrt(sensitivity_l): at a step d the rounding of a weight adds d^2 /
/// 12 to the squared error of the output, and the sum over all weights of sensitivity * error + price * bits
/// is least where sensitivity * d^2 is the same everywhere.
class RatePlan {
 public:
  struct Linear {
    double weights = 0;
    double sensitivity = 0;    // KL (nats per token) per unit of squared error of the output, a token's mean
    double unit = 1;           // a step at which a weight takes about 1 bit, for the curve
    std::vector<double> bits;  // per weight at unit * kFinest * 2^(i / 2)
  };
  static constexpr double kFinest = 1.0 / 16;

  std::map<std::string, Linear> linears;  // by LinearSpec::name
  double base_step = 0;

  /// Step of a linear for LinearTask::step.
  double step(const std::string& linear) const { return step(linears.at(linear), base_step); }
  /// Expected bits per weight of all linears with another base step.
  double bits(double base) const;
  /// The base step at which bits() is `target`.
  double base_for(double target) const;
  /// What has been coded in how many bits; later steps make up for what had not been expected, so that all
  /// linears together come to `target` bits per weight.
  void coded(const std::string& linear, double bits, double target);

 private:
  static double step(const Linear& linear, double base);
  static double bits(const Linear& linear, double base);

  std::set<std::string> done_;
  double coded_bits_ = 0;
  double coded_weights_ = 0;
  double expected_bits_ = 0;  // of what has been coded
  double first_base_ = 0;
};

/// Measures the sensitivities and the rates: the model runs over the calibration text in FP32; in each layer
/// every linear is quantized for trial. Alone it shows its share in the error of the layer's output; all
/// together, carried on to the logits on a part of the text, they show what the error costs.
RatePlan make_rate_plan(Model& model, const CalibrationText& text, const Recipe& recipe);

/// KL divergence per token between what hidden states and reference hidden states predict; both
/// [tokens, hidden_size], and spoilt. `head` stands in for the head's weights where given.
double divergence(Model& model, std::span<float> reference, std::span<float> hidden,
                  const Linear* head = nullptr);

}  // namespace twofold
