#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compress/recipe.h"

namespace twofold {

/// One thing to measure: a recipe, or for `coders` every codec on its integers.
struct LabPoint {
  std::string label;
  Recipe recipe;
  bool coders = false;
};

/// A grid of points. A new one is a function and a line in suites.cpp.
struct LabSuite {
  std::string_view name;
  std::string_view summary;
  std::vector<LabPoint> (*points)();
};

std::span<const LabSuite> lab_suites();
/// Throws UsageError listing the names there are.
const LabSuite& find_lab_suite(std::string_view name);

}  // namespace twofold
