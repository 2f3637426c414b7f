#include "compress/recipe.h"

#include <fnmatch.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "compress/pruner.h"
#include "compress/quantizer.h"
#include "compress/scaler.h"

namespace twofold {

namespace {

void check_range(std::string_view key, double value, double min, double max) {
  if (value >= min && value <= max) return;
  throw UsageError(fmt::format("{}: expected a number from {} to {}, found {}", key, min, max, value));
}

void check_choice(std::string_view key, const std::string& value, std::string_view a, std::string_view b) {
  if (value != a && value != b) {
    throw UsageError(fmt::format("{}: expected {} or {}, found {}", key, a, b, json_quote(value)));
  }
}

/// Runs `find`; what it says of an unknown name is a usage error of `key`.
template <typename Find>
auto& known(std::string_view key, const Find& find) {
  try {
    return find();
  } catch (const Error& error) {
    throw UsageError(fmt::format("{}: {}", key, error.what()));
  }
}

}  // namespace

bool Recipe::skips(const std::string& tensor_name) const {
  return std::any_of(skip.begin(), skip.end(), [&](const std::string& pattern) {
    return fnmatch(pattern.c_str(), tensor_name.c_str(), 0) == 0;
  });
}

bool Recipe::is_dc() const {
  return (scaler == "dc" || scaler == "none") && quantizer == "rtn" && granularity == "tensor" &&
         width == 8 && pruner == "dc" && !sequential;
}

Json Recipe::to_json() const {
  const Quantizer& how = find_quantizer(quantizer);
  Json json = {{"recipe", name},
               {"scaler", scaler},
               {"quantizer", quantizer},
               {"embedding_quantizer", "int8-per-row"},
               {"pruner", pruner},
               {"sparsity", sparsity},
               {"activations", activation_mode_name(activations)},
               {"codec", codec},
               {"skip", skip}};
  if (scaler != "none") json["alpha"] = alpha;
  if (quantizer == "rtn" || quantizer == "gptq") json["granularity"] = granularity;
  if (how.rated) {
    json["bits"] = bits;
    json["allocation"] = allocation;
    json["rate_price"] = rate_price;
  } else {
    json["width"] = width;
  }
  if (quantizer == "group-wise") json["group"] = group;
  if (quantizer == "entquant") json["lambda"] = lambda;
  if (how.moments) {
    json["damping"] = damping;
    json["order"] = order;
  }
  if (!is_dc()) json["sequential"] = sequential;
  return json;
}

void check(const Recipe& recipe) {
  if (!(recipe.alpha >= 0 && recipe.alpha <= 1)) {
    throw UsageError(fmt::format("--alpha: expected a number from 0 to 1, or auto, found {}", recipe.alpha));
  }
  if (!(recipe.sparsity >= 0 && recipe.sparsity < 1)) {
    throw UsageError(
        fmt::format("--sparsity: expected a number from 0 to below 1, found {}", recipe.sparsity));
  }
  known(
      "--codec", [&]() -> auto& { return find_codec(recipe.codec); });
  known(
      "scaler", [&]() -> auto& { return find_scaler(recipe.scaler); });
  known(
      "quantizer", [&]() -> auto& { return find_quantizer(recipe.quantizer); });
  known(
      "pruner", [&]() -> auto& { return find_pruner(recipe.pruner); });
  check_choice("granularity", recipe.granularity, "tensor", "row");
  check_choice("allocation", recipe.allocation, "sensitivity", "equal");
  check_choice("order", recipe.order, "natural", "activation");
  check_range("width", recipe.width, 2, 8);
  check_range("group", recipe.group, 1, 1 << 20);
  if (recipe.bits != 0) check_range("--bits", recipe.bits, 0.5, 8);
  check_range("rate_price", recipe.rate_price, 0, 1);
  check_range("lambda", recipe.lambda, 0, 1e6);
  check_range("damping", recipe.damping, 1e-6, 1);
  const Quantizer& quantizer = find_quantizer(recipe.quantizer);
  if (quantizer.rated && recipe.scaler != "none") {
    throw UsageError(
        fmt::format("scaler: the quantizer {} chooses the scales itself, expected none, found \"{}\"",
                    recipe.quantizer, recipe.scaler));
  }
  if (!quantizer.stored && recipe.sequential) {
    throw UsageError(fmt::format("sequential: not with {}, which is for evaluation only", recipe.quantizer));
  }
}

Recipe parse_recipe(std::string_view text, std::string_view where) {
  Recipe recipe;
  const auto trim = [](std::string_view s) {
    const std::size_t first = s.find_first_not_of(" \t\r");
    if (first == std::string_view::npos) return std::string_view();
    return s.substr(first, s.find_last_not_of(" \t\r") - first + 1);
  };
  int number = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    line = trim(line.substr(0, std::min(line.find('#'), line.size())));
    if (line.empty()) continue;
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) {
      fail("{}:{}: expected \"key = value\", found {}", where, number, json_quote(line));
    }
    const std::string_view key = trim(line.substr(0, equals));
    const std::string_view value = trim(line.substr(equals + 1));
    const auto real = [&](double& out) {
      const auto result = std::from_chars(value.data(), value.data() + value.size(), out);
      if (result.ec != std::errc() || result.ptr != value.data() + value.size()) {
        fail("{}:{}: {}: expected a number, found {}", where, number, key, json_quote(value));
      }
    };
    const auto integer = [&](int& out) {
      const auto result = std::from_chars(value.data(), value.data() + value.size(), out);
      if (result.ec != std::errc() || result.ptr != value.data() + value.size()) {
        fail("{}:{}: {}: expected a whole number, found {}", where, number, key, json_quote(value));
      }
    };
    if (key == "name") {
      recipe.name = value;
    } else if (key == "scaler") {
      recipe.scaler = value;
    } else if (key == "alpha") {
      real(recipe.alpha);
    } else if (key == "quantizer") {
      recipe.quantizer = value;
    } else if (key == "granularity") {
      recipe.granularity = value;
    } else if (key == "width") {
      integer(recipe.width);
    } else if (key == "group") {
      integer(recipe.group);
    } else if (key == "bits") {
      real(recipe.bits);
    } else if (key == "allocation") {
      recipe.allocation = value;
    } else if (key == "rate_price") {
      real(recipe.rate_price);
    } else if (key == "lambda") {
      real(recipe.lambda);
    } else if (key == "damping") {
      real(recipe.damping);
    } else if (key == "order") {
      recipe.order = value;
    } else if (key == "pruner") {
      recipe.pruner = value;
    } else if (key == "sparsity") {
      real(recipe.sparsity);
    } else if (key == "sequential") {
      if (value != "yes" && value != "no") {
        fail("{}:{}: sequential: expected yes or no, found {}", where, number, json_quote(value));
      }
      recipe.sequential = value == "yes";
    } else if (key == "activations") {
      recipe.activations = parse_activation_mode(value);
    } else if (key == "codec") {
      recipe.codec = value;
    } else if (key == "skip") {
      recipe.skip.emplace_back(value);
    } else {
      fail("{}:{}: unknown key {}; see docs/recipes.md", where, number, json_quote(key));
    }
  }
  return recipe;
}

}  // namespace twofold
