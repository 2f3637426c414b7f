// The recipes that come with the program.

#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "compress/recipe.h"

namespace twofold {

namespace {

// What a recipe does not name is as in `dc`.
constexpr BuiltinRecipe kRecipes[] = {
    {"best", "free steps, error feedback, bits where they matter most",
     "scaler = none\nquantizer = watersic\nsequential = yes\norder = activation\ndamping = 0.03\n"},
    {"dc", "double compression: activation-aware scaling, INT8 per tensor", ""},
    {"rtn-tensor", "round to nearest, one step per tensor", "scaler = none\n"},
    {"rtn-row", "round to nearest, one step per row", "scaler = none\ngranularity = row\n"},
    {"smoothquant", "SmoothQuant, one step per tensor", "scaler = smoothquant\nalpha = 0.5\n"},
    {"outlier-suppression", "the scales of Outlier Suppression+, one step per tensor",
     "scaler = outlier-suppression\n"},
    {"gptq", "error feedback, one step per row",
     "scaler = none\nquantizer = gptq\ngranularity = row\nwidth = 4\nsequential = yes\n"},
    {"watersic", "WaterSIC: error feedback with a free step per input channel, the same rate for all layers",
     "scaler = none\nquantizer = watersic\nsequential = yes\nallocation = equal\nbits = 2.5\n"},
    {"entquant", "EntQuant: free steps per row by rate and distortion of the weights alone",
     "scaler = none\nquantizer = entquant\nlambda = 0.02\n"},
    {"awq", "AWQ, 4 bits in groups of 128; for evaluation only",
     "scaler = awq\nquantizer = group-wise\nwidth = 4\n"},
    {"rtn-group", "round to nearest, 4 bits in groups of 128; for evaluation only",
     "scaler = none\nquantizer = group-wise\nwidth = 4\n"},
    {"zeroquant", "INT8 in groups of 128; for evaluation only",
     "scaler = none\nquantizer = group-wise\nwidth = 8\n"},
    {"llm-int8", "INT8 per row, outlier channels in 16 bits; for evaluation only",
     "scaler = none\nquantizer = llm-int8\n"},
    {"magnitude", "INT8 per tensor, 40 % pruned by magnitude", "pruner = magnitude\nsparsity = 0.4\n"},
    {"wanda", "INT8 per tensor, 40 % pruned by Wanda", "pruner = wanda\nsparsity = 0.4\n"},
    {"pruner-zero", "INT8 per tensor, 40 % pruned by Pruner-Zero", "pruner = pruner-zero\nsparsity = 0.4\n"},
    {"sparsegpt", "INT8 per tensor, 40 % pruned by SparseGPT", "pruner = sparsegpt\nsparsity = 0.4\n"},
};

}  // namespace

std::span<const BuiltinRecipe> builtin_recipes() {
  return kRecipes;
}

Recipe load_recipe(const std::string& name_or_file) {
  for (const BuiltinRecipe& builtin : kRecipes) {
    if (builtin.name != name_or_file) continue;
    Recipe recipe = parse_recipe(builtin.text, builtin.name);
    recipe.name = builtin.name;
    return recipe;
  }
  if (!std::filesystem::exists(name_or_file)) {
    std::string names;
    for (const BuiltinRecipe& builtin : kRecipes) {
      names += names.empty() ? "" : ", ";
      names += builtin.name;
    }
    throw UsageError(fmt::format("--recipe: \"{}\" is neither a file nor one of {}", name_or_file, names));
  }
  const File file(name_or_file);
  constexpr std::uint64_t kMaxBytes = 1 << 20;
  if (file.size() > kMaxBytes) fail("{}: expected a recipe of at most {} bytes", name_or_file, kMaxBytes);
  std::string text(file.size(), '\0');
  file.read(0, {reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
  Recipe recipe = parse_recipe(text, name_or_file);
  if (recipe.name == "dc") recipe.name = std::filesystem::path(name_or_file).stem().string();
  return recipe;
}

}  // namespace twofold
