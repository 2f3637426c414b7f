#include "eval/lab/suites.h"

#include <fmt/core.h>

#include "base/error.h"
#include "compress/pruner.h"
#include "compress/quantizer.h"
#include "compress/scaler.h"
#include "eval/lab/joint.h"
#include "eval/lab/rates.h"

namespace twofold {

namespace {

/// Plain INT8, one step per tensor: what the others are compared with.
Recipe plain() {
  return load_recipe("rtn-tensor");
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

/// The recipe that comes with the program for this quantizer, or one of nothing else.
Recipe recipe_for(const Quantizer& quantizer) {
  for (const BuiltinRecipe& builtin : builtin_recipes())
    if (builtin.name == quantizer.name) return load_recipe(std::string(builtin.name));
  Recipe recipe = plain();
  recipe.name = quantizer.name;
  recipe.quantizer = quantizer.name;
  return recipe;
}

std::vector<LabPoint> quantizer_points() {
  std::vector<LabPoint> points;
  for (const Scaler& scaler : scalers()) {
    Recipe recipe = plain();
    recipe.scaler = scaler.name;
    if (scaler.name == "smoothquant") recipe.alpha = 0.5;
    points.push_back({fmt::format("scaler {}, INT8 per tensor", scaler.name), recipe});
  }
  for (const Quantizer& quantizer : quantizers()) {
    Recipe recipe = recipe_for(quantizer);
    if (quantizer.rated) {
      for (const double bits : {4.0, 3.0, 2.5, 2.0}) {
        recipe.bits = bits;
        points.push_back({fmt::format("{}, {} bits coded", quantizer.name, bits), recipe});
      }
    } else if (recipe.lambda > 0) {
      for (const double lambda : {0.1, 1.0, 10.0}) {
        recipe.lambda = lambda;
        points.push_back({fmt::format("{}, λ {}", quantizer.name, lambda), recipe});
      }
    } else if (quantizer.name == "llm-int8") {
      points.push_back({std::string(quantizer.name), recipe});
    } else {
      for (const int width : {8, 6, 5, 4, 3}) {
        recipe.width = width;
        recipe.granularity = "row";
        points.push_back({fmt::format("{}, {} bits", quantizer.name, width), recipe});
      }
    }
  }
  points.push_back({"best, the default", load_recipe("best")});
  return points;
}

std::vector<LabPoint> pruner_points() {
  std::vector<LabPoint> points;
  for (const Pruner& pruner : pruners()) {
    for (const double sparsity : {0.2, 0.4, 0.5, 0.6}) {
      Recipe recipe;
      recipe.pruner = pruner.name;
      recipe.sparsity = sparsity;
      points.push_back({fmt::format("{}, {:.0f} %", pruner.name, 100 * sparsity), recipe});
    }
  }
  return points;
}

constexpr LabSuite kSuites[] = {
    {"dc", "double compression against plain INT8", dc_points},
    {"coders", "every codec on the same integers", coder_points},
    {"quantizers", "every scaler and quantizer, over bit widths", quantizer_points},
    {"rates", "best against the other methods at equal size", rate_points},
    {"pruners", "every pruner, over sparsities, on double compression", pruner_points},
    {"alpha", "the exponent of the scale, 0 to 1", alpha_points},
    {"sparsity", "double compression, 0 to 60 % pruned", sparsity_points},
    {"joint", "pruning and bit width together (arXiv 2505.07289)", joint_points},
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
