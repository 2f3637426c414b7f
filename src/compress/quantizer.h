#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "compress/linear_task.h"
#include "compress/stage_one.h"

namespace twofold {

/// A linear layer after stage one.
struct QuantizedLinear {
  QuantizedMatrix matrix;
  /// Of methods whose weights the container's integers cannot express (evaluation only): the weights as
  /// floats, and the bits they would take by the method's own account. Empty for all others.
  AlignedVector<float> floats;
  double bits = 0;
  double error = 0;  // squared error of the output, mean over tokens; of methods with an ErrorMetric
};

/// A way to make integers of weights that have been scaled and pruned. Weights of exactly zero stay zero.
struct Quantizer {
  std::string_view name;  // as in recipes
  bool moments;           // needs LinearTask::metric
  bool rated;             // its step comes from a RatePlan
  bool stored;            // false: QuantizedLinear::floats, for evaluation only
  QuantizedLinear (*quantize)(const LinearTask& task, std::vector<float> input_scale);
};

#define TWOFOLD_QUANTIZERS(X)                           \
  X("rtn", false, false, true, quantize_rtn)            \
  X("gptq", true, false, true, quantize_gptq)           \
  X("watersic", true, true, true, quantize_watersic)    \
  X("entquant", false, false, true, quantize_entquant)  \
  X("group-wise", false, false, false, quantize_groups) \
  X("llm-int8", false, false, false, quantize_llm_int8)

#define TWOFOLD_DECLARE(name, moments, rated, stored, function) \
  QuantizedLinear function(const LinearTask& task, std::vector<float> input_scale);
TWOFOLD_QUANTIZERS(TWOFOLD_DECLARE)
#undef TWOFOLD_DECLARE

std::span<const Quantizer> quantizers();
/// Throws Error listing the names there are.
const Quantizer& find_quantizer(std::string_view name);

/// The largest |q| of a bit width: 127 for 8 bits.
inline int levels_of(int width) {
  return (1 << (width - 1)) - 1;
}

/// max |w_rj s_j| over each row, one per row.
std::vector<float> row_maxima(const LinearTask& task, std::span<const float> input_scale);

/// The steps at which the largest |w_rj s_j| of the tensor, or of each row, becomes levels_of(width): one, or
/// one per row, as the recipe's granularity says.
std::vector<float> absmax_steps(const LinearTask& task, std::span<const float> input_scale);

/// What belongs to the integers that a quantizer made.
CodedTensorParts parts_of(const LinearTask& task, std::vector<float> scale, std::vector<float> input_scale);

}  // namespace twofold
