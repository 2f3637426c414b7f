#include "eval/lab/suites.h"

#include <fmt/core.h>

#include "base/error.h"

namespace twofold {

namespace {

/// Plain INT8, one step per tensor: what the others are compared with.
Recipe plain() {
  Recipe recipe;
  recipe.alpha = 0;
  return recipe;
}

std::vector<LabPoint> dc_points() {
  std::vector<LabPoint> points = {{"plain INT8", plain()}};
  for (const double sparsity : {0.0, 0.2, 0.4}) {
    Recipe recipe;
    recipe.sparsity = sparsity;
    points.push_back({sparsity > 0 ? fmt::format("DC, {:.0f} % pruned", 100 * sparsity) : "DC", recipe});
  }
  return points;
}

std::vector<LabPoint> coder_points() {
  return {{"plain INT8", plain(), true}, {"DC", {}, true}};
}

std::vector<LabPoint> alpha_points() {
  std::vector<LabPoint> points;
  for (int tenth = 0; tenth <= 10; ++tenth) {
    Recipe recipe;
    recipe.alpha = tenth / 10.0;
    points.push_back({fmt::format("α {:.1f}", recipe.alpha), recipe});
  }
  return points;
}

std::vector<LabPoint> sparsity_points() {
  std::vector<LabPoint> points;
  for (int tenth = 0; tenth <= 6; ++tenth) {
    Recipe recipe;
    recipe.sparsity = tenth / 10.0;
    points.push_back({fmt::format("{} % pruned", 10 * tenth), recipe});
  }
  return points;
}

constexpr LabSuite kSuites[] = {
    {"dc", "double compression against plain INT8", dc_points},
    {"coders", "every codec on the same integers", coder_points},
    {"alpha", "the exponent of the scale, 0 to 1", alpha_points},
    {"sparsity", "double compression, 0 to 60 % pruned", sparsity_points},
};

}  // namespace

std::span<const LabSuite> lab_suites() {
  return kSuites;
}

const LabSuite& find_lab_suite(std::string_view name) {
  std::string names;
  for (const LabSuite& suite : kSuites) {
    if (suite.name == name) return suite;
    names += std::string(suite.name) + ", ";
  }
  throw UsageError(fmt::format("--suite: expected {}all, found \"{}\"", names, name));
}

}  // namespace twofold
