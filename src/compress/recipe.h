#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "runtime/linear.h"

namespace twofold {

/// What stage one does to every linear layer, and the codec of stage two. Recorded in config.json. The names
/// of scalers, quantizers and pruners are those of scaler.h, quantizer.h, pruner.h.
struct Recipe {
  std::string name = "dc";  // for the record
  std::string scaler = "dc";
  double alpha = 0.9;  // exponent of the per-channel scale, 0 to 1
  std::string quantizer = "rtn";
  std::string granularity = "tensor";  // of steps: tensor or row
  int width = 8;                       // bits of an integer before coding, 2 to 8
  int group = 128;                     // inputs that share a step, for the quantizer group-wise
  double bits = 0;  // per weight after coding, for quantizers with a rate; 0: what a divergence allows
  std::string allocation = "sensitivity";  // of bits among linears: sensitivity or equal
  double rate_price = 0;                   // of RDO: price of a bit in steps^2
  double lambda = 0;                       // of entquant: weight of the rate
  double damping = 0.01;                   // of X^T X, in units of its mean diagonal
  std::string order = "natural";           // of columns for error feedback: natural or activation
  std::string pruner = "dc";
  double sparsity = 0.0;    // share of each layer's weights set to zero, 0 to below 1
  bool sequential = false;  // calibrate each layer on the output of the quantized ones before it
  ActivationMode activations = ActivationMode::kPerToken;
  std::string codec = "ans";
  std::vector<std::string> skip;  // shell patterns of tensor names left as they are

  bool skips(const std::string& tensor_name) const;
  /// Double compression and its special cases, which stage_one() computes.
  bool is_dc() const;
  Json to_json() const;
};

/// Throws UsageError for a value out of range or an unknown name.
void check(const Recipe& recipe);

/// A recipe that comes with the program.
struct BuiltinRecipe {
  std::string_view name;
  std::string_view summary;
  std::string_view text;  // as in a file
};
std::span<const BuiltinRecipe> builtin_recipes();

/// The recipe of this name, or of this file when there is none: lines `key = value` (docs/recipes.md). Throws
/// Error that names the file and the line.
Recipe load_recipe(const std::string& name_or_file);

/// The same of a text; `where` names it in errors.
Recipe parse_recipe(std::string_view text, std::string_view where);

}  // namespace twofold
