#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "compress/alpha_search.h"
#include "compress/calibration_text.h"
#include "compress/codec_plan.h"
#include "compress/recipe.h"

namespace twofold {

struct CompressOptions {
  std::filesystem::path source;
  std::filesystem::path destination;  // must not exist
  Recipe recipe;
  std::optional<CodecPlan> plan;  // codecs by tensor, in place of the recipe's
  bool auto_alpha = false;        // choose recipe.alpha by `best_alpha`
  /// Largest mean KL divergence to the original on the calibration text, nats per token: for auto_alpha, and
  /// for recipes with a rate where recipe.bits is 0.
  double max_kl = 0.004;
  std::optional<std::uint64_t> target_bytes;  // for recipes with a rate: of the whole directory, instead
  CalibrationOptions calibration;
  std::filesystem::path statistics;  // where to save the calibration statistics; empty: nowhere
  std::uint64_t max_shard_bytes = 5'000'000'000;
  int threads = 0;
};

struct CompressReport {
  Recipe recipe;                   // as applied
  std::vector<AlphaPoint> alphas;  // what the search saw, if there was one
  std::int64_t calibration_tokens = 0;
  std::optional<double> kl;          // where max_kl set the rate: what was measured
  std::uint64_t linear_weights = 0;  // in the decoder's linear layers that were coded
  std::uint64_t linear_bytes = 0;  // stored for them, with tables, index, scales; what they would take where
                                   // the recipe is for evaluation only
  std::uint64_t parameters = 0;    // in the whole model
  std::uint64_t source_bytes = 0;  // whole directory
  std::uint64_t stored_bytes = 0;  // whole directory
  double seconds = 0;
};

/// Compresses a Hugging Face directory into a Twofold directory: calibration, stage one and stage two, one
/// layer at a time. The destination appears when everything is written, or not at all.
CompressReport compress_model(const CompressOptions& options);

}  // namespace twofold
