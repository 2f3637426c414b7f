#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "runtime/model.h"
#include "text/tokenizer.h"

namespace twofold {

/// The token sequences calibration runs, and where they come from.
struct CalibrationText {
  std::vector<std::vector<TokenId>> sequences;  // each no longer than the model's context
  std::string source;                           // "self" or the file's name
  std::string hash;                             // XXH3 of the token ids, for the record

  std::int64_t tokens() const;
};

/// All tokens of the text, sequence after sequence.
std::vector<TokenId> all_tokens(const CalibrationText& text);

struct CalibrationOptions {
  std::string source = "self";  // "self", or the path of a text file
  std::int64_t tokens = 2048;   // about how many tokens
  std::uint64_t seed = 0;       // of the sampling
};

/// Windows spread evenly over the file, cut by the tokenizer in the model's directory, or text the model
/// samples from itself (from BOS, temperature 1). An empty text is an Error.
CalibrationText make_calibration_text(Model& model, const CalibrationOptions& options);

}  // namespace twofold
