#include "compress/recipe.h"

#include <fnmatch.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace twofold {

bool Recipe::skips(const std::string& tensor_name) const {
  return std::any_of(skip.begin(), skip.end(), [&](const std::string& pattern) {
    return fnmatch(pattern.c_str(), tensor_name.c_str(), 0) == 0;
  });
}

Json Recipe::to_json() const {
  return {{"scaler", "dc"},
          {"alpha", alpha},
          {"quantizer", "int8-per-tensor"},
          {"embedding_quantizer", "int8-per-row"},
          {"pruner", "weight-times-activation"},
          {"sparsity", sparsity},
          {"activations", activation_mode_name(activations)},
          {"codec", codec},
          {"skip", skip}};
}

void check(const Recipe& recipe) {
  if (!(recipe.alpha >= 0 && recipe.alpha <= 1)) {
    throw UsageError(fmt::format("--alpha: expected a number from 0 to 1, or auto, found {}", recipe.alpha));
  }
  if (!(recipe.sparsity >= 0 && recipe.sparsity < 1)) {
    throw UsageError(
        fmt::format("--sparsity: expected a number from 0 to below 1, found {}", recipe.sparsity));
  }
  try {
    find_codec(recipe.codec);
  } catch (const Error& error) {
    throw UsageError(fmt::format("--codec: {}", error.what()));
  }
}

}  // namespace twofold
