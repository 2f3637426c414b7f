#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "runtime/linear.h"

namespace twofold {

/// What stage one does to every linear layer, and the codec of stage two. Recorded in config.json.
struct Recipe {
  double alpha = 0.9;     // exponent of the per-channel scale, 0 to 1
  double sparsity = 0.0;  // share of each layer's weights set to zero, 0 to below 1
  ActivationMode activations = ActivationMode::kPerToken;
  std::string codec = "ans";
  std::vector<std::string> skip;  // shell patterns of tensor names left as they are

  bool skips(const std::string& tensor_name) const;
  Json to_json() const;
};

/// Throws UsageError for a value out of range or an unknown codec.
void check(const Recipe& recipe);

}  // namespace twofold
