#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "text/bpe_merges.h"
#include "text/model.h"

namespace twofold {

struct BpeOptions {
  std::optional<TokenId> unknown;  // stands for characters that are not in the vocabulary
  bool fuse_unknown = false;       // one token for a run of them
  bool byte_fallback = false;      // but rather byte tokens, where all bytes of the character have one
  bool ignore_merges = false;      // a whole piece that is in the vocabulary is that token
  std::string prefix;              // of every character of a piece but the first, in the vocabulary
  std::string suffix;              // of the last character of a piece
};

/// Byte-pair encoding over characters.
std::unique_ptr<TokenizerModel> make_bpe_model(Vocab vocab, const std::vector<BpeMerge>& merges,
                                               BpeOptions options);

}  // namespace twofold
