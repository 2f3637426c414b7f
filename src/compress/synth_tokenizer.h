#pragma once

#include <string>

#include "model/model_spec.h"

namespace twofold {

/// Contents of tokenizer.json and tokenizer_config.json.
struct TokenizerFiles {
  std::string tokenizer;
  std::string config;
};

/// A tokenizer whose tokens are the 256 bytes, as far as the vocabulary has room for them: BOS and EOS have
/// the ids config.json gives them, <unk> and the bytes take the first free ones, and every id left is a
/// piece of its own, <259> for 259, that no text is cut into.
TokenizerFiles byte_tokenizer(const ModelSpec& spec);

}  // namespace twofold
