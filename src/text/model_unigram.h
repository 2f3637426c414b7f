#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "text/model.h"

namespace twofold {

struct UnigramOptions {
  std::vector<double> scores;      // log probability of each piece, by id
  std::vector<bool> in_text;       // by id: the piece may be found in text; empty: all may
  std::optional<TokenId> unknown;  // stands for characters that no piece holds
  bool byte_fallback = false;      // but rather byte tokens, where all bytes of the character have one
};

/// The segmentation of highest probability under a unigram language model (Kudo 2018). The pieces of `vocab`
/// have ids without gaps. `where` names the model in errors.
std::unique_ptr<TokenizerModel> make_unigram_model(Vocab vocab, UnigramOptions options,
                                                   const std::string& where);

}  // namespace twofold
