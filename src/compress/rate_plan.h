#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "compress/calibration_text.h"
#include "compress/error_metric.h"
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
    double sensitivity = 0;  // KL (nats per token) per unit of squared error of the output, a token's mean
    double unit = 1;         // a step at which a weight takes about 1 bit, for the curve
    // At steps of unit * kFinest * 2^(i / 2), per weight: bits, and squared error of the output in units^2.
    std::vector<double> bits, errors;
    std::int64_t cols = 0;
    bool found = false;  // `unit` is that of the calibration it is quantized with
    double taken = 0;    // the step it was quantized with
  };
  static constexpr double kFinest = 1.0 / 64;

  std::map<std::string, Linear> linears;  // by LinearSpec::name
  double base_step = 0;
  std::optional<double> target;  // bits per weight that all linears together are to come to

  /// What a linear's unit is with the calibration that it is going to be quantized with: others with as many
  /// inputs are taken to have changed as much.
  void found_unit(const std::string& name, double unit);
  /// Step of a linear that is being quantized, for LinearTask::step.
  double take_step(const std::string& name);
  /// Expected bits per weight of all linears with another base step.
  double bits(double base) const;
  /// The base step at which bits() is `wanted`.
  double base_for(double wanted) const;
  /// The base step at which the sum of sensitivity * error is `wanted`.
  double base_for_divergence(double wanted) const;
  /// What has been coded in how many bits; with a target, later steps make up for what had not been expected.
  void coded(const std::string& name, double bits_taken);

 private:
  double unit(const Linear& linear) const;
  double step(const Linear& linear, double base) const;
  double place(const Linear& linear, double step) const;  // in its curves
  double bits_at(const Linear& linear, double step) const;
  double divergence(double base) const;
  void solve_again();

  struct Drift {
    double sum = 0;  // of the logarithm of how the unit changed
    double count = 0;
  };
  std::map<std::int64_t, Drift> drifts_;  // by number of inputs
  std::set<std::string> done_;
  double coded_bits_ = 0;
  double coded_weights_ = 0;
  double expected_bits_ = 0;  // of what has been coded
  double first_base_ = 0;
};

/// RatePlan::Linear::unit: the weights' deviation times the geometric mean of the metric's diagonal.
double rate_unit(std::span<const float> weights, const ErrorMetric& metric, ThreadPool& pool);

/// Measures the sensitivities and the rates: the model runs over a part of the calibration text in FP32; in
/// each layer every linear is quantized for trial. Alone it shows its share in the error of the layer's
/// output; all together, carried on to the logits on a part of that, they show what the error costs.
RatePlan make_rate_plan(Model& model, const CalibrationText& text, const Recipe& recipe);

/// KL divergence per token between what hidden states and reference hidden states predict; both
/// [tokens, hidden_size], and spoilt. `head` stands in for the head's weights where given.
double divergence(Model& model, std::span<float> reference, std::span<float> hidden,
                  const Linear* head = nullptr);

}  // namespace twofold
