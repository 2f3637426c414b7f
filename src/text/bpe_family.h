#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "text/decoder.h"
#include "text/normalizer.h"
#include "text/pre_tokenizer.h"

namespace twofold {

/// How the byte-level tokenizers of a family cut text into words. Files with ranks or GGUF metadata name the
/// family instead of spelling it out.
struct BpeFamily {
  std::array<std::string_view, 6> expressions;  // one after the other; each match is a piece
  bool nfc = false;                             // text is normalized first
  bool ignore_merges = false;                   // a whole word that is in the vocabulary is that token
  bool add_bos = false;                         // prompts begin with BOS
};

/// By the name that GGUF files give it ("tokenizer.ggml.pre"); null for an unknown one.
const BpeFamily* find_bpe_family(std::string_view name);

/// "a, b, c"
std::string bpe_family_names();

/// The pre-tokenizer: words, then bytes as characters of GPT-2's alphabet. `where` is for errors.
std::unique_ptr<PreTokenizer> make_byte_level_pre_tokenizer(const BpeFamily& family,
                                                            const std::string& where);

/// NFC, or null where the family does not want it.
std::unique_ptr<Normalizer> make_family_normalizer(const BpeFamily& family);

std::unique_ptr<TextDecoder> make_byte_level_decoder();

}  // namespace twofold
