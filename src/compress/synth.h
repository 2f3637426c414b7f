#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "compress/recipe.h"

namespace twofold {

/// How the integers of a synthetic model are to look, after the stage-one recipes of docs/method.md.
enum class SynthRecipe {
  kDc,       // double compression: channels scaled by their activations, the largest weight sets the step
  kTensor,   // one free step per tensor: the integers of all channels are spread alike
  kChannel,  // a free step per channel: some channels have larger integers than others
};

SynthRecipe parse_synth_recipe(std::string_view name);  // as in `--recipe-like`
std::string_view synth_recipe_name(SynthRecipe recipe);

struct SynthOptions {
  std::string like;  // a name of `published_config`, or the path of a model directory or a config.json
  std::filesystem::path destination;
  std::optional<std::int64_t> layers;  // instead of as many as the model has
  bool bf16 = false;                   // an original directory in BF16; what follows does not matter then
  SynthRecipe recipe = SynthRecipe::kDc;
  std::optional<double> entropy;  // order-0 bits per weight of each linear; none: what the recipe gives
  std::string codec = Recipe{}.codec;
  std::uint64_t seed = 0;
  std::uint64_t max_shard_bytes = 5'000'000'000;
  int threads = 0;
};

struct SynthReport {
  std::uint64_t parameters = 0;
  std::uint64_t linear_weights = 0;  // in the decoder's linear layers; 0 for BF16, as the two below
  std::uint64_t linear_bytes = 0;    // stored for them
  double linear_entropy = 0;         // order-0 bits per weight, mean over the weights
  std::uint64_t stored_bytes = 0;    // whole directory
  double seconds = 0;
};

/// Writes a model directory of a real model's shape with random weights, whose distributions are those of
/// real ones: for work on speed and memory. Embeddings and head have one step per row, as `compress` makes
/// them. The directory depends on the options, not on the number of threads, and appears whole or not at all.
/// Holds one INT8 tensor in memory.
SynthReport synthesize_model(const SynthOptions& options);

}  // namespace twofold
