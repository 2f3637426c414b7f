#pragma once

#include <memory>
#include <string>

#include "base/json.h"
#include "text/pre_tokenizer.h"
#include "text/text_pattern.h"

namespace twofold {

/// What becomes of the matches when pieces are cut at them.
enum class SplitBehavior {
  kRemoved,             // they are dropped
  kIsolated,            // each is a piece
  kMergedWithPrevious,  // each ends the piece before it
  kMergedWithNext,      // each begins the piece behind it
  kContiguous,          // each run of them is a piece
};

/// Parses "behavior".
SplitBehavior parse_split_behavior(const Json& object, const std::string& where,
                                   std::optional<std::string> fallback = std::nullopt);

/// Cuts every piece at the matches of `pattern`; with `invert`, at what lies between them.
void split_pieces(TextPieces& pieces, const TextPattern& pattern, SplitBehavior behavior, bool invert);

/// A pre-tokenizer that does just this.
std::unique_ptr<PreTokenizer> make_split(std::unique_ptr<TextPattern> pattern, SplitBehavior behavior,
                                         bool invert);

}  // namespace twofold
