#pragma once

#include <optional>
#include <string>
#include <vector>

#include "text/tokenizer_pipeline.h"

namespace twofold {

/// What SentencePiece's model says, from its own file or a GGUF's metadata.
struct SentencePieceVocab {
  /// Numbered as in both files.
  enum class Type { kNormal = 1, kUnknown, kControl, kUserDefined, kUnused, kByte };

  std::vector<std::string> pieces;  // by id
  std::vector<float> scores;
  std::vector<Type> types;
  bool unigram = false;  // else BPE
  bool byte_fallback = false;
  std::string charsmap;  // rules of normalization, or empty
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = false;
};

/// The pipeline of such a model, but for `added` and what stands around prompts. Control tokens are found in
/// text, as the reference has it; user-defined ones in the normalized text, as SentencePiece has it.
TokenizerStages make_sentencepiece_stages(SentencePieceVocab vocab, const std::vector<AddedToken>& added,
                                          const std::string& where);

}  // namespace twofold
