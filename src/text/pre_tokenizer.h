#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "text/component.h"

namespace twofold {

/// Text cut into pieces.
struct TextPieces {
  std::string text;               // valid UTF-8
  std::vector<std::size_t> ends;  // where the pieces end: ascending, the last one text.size(); none is empty
  bool at_start = false;  // the first piece begins what the user gave: it is not behind an added token
};

/// Cuts normalized text into the pieces that the model encodes one by one.
class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;

  /// Cuts the pieces into smaller ones and may rewrite or drop them, each on its own.
  virtual void pre_tokenize(TextPieces& pieces) const = 0;

  /// How many times longer the text may become, at most.
  virtual double growth() const = 0;
};

/// Parses the "pre_tokenizer" of a tokenizer.json, or one of a Sequence. `where` names it in errors.
std::unique_ptr<PreTokenizer> parse_pre_tokenizer(const Json& json, const std::string& where);

// One per file pre_tokenizer_*.cpp.
std::unique_ptr<PreTokenizer> parse_bert_pre_tokenizer(const Json& json, const std::string& where);
std::unique_ptr<PreTokenizer> parse_byte_level_pre_tokenizer(const Json& json, const std::string& where);
std::unique_ptr<PreTokenizer> parse_delimiter_pre_tokenizer(const Json& json, const std::string& where);
std::unique_ptr<PreTokenizer> parse_digits_pre_tokenizer(const Json& json, const std::string& where);
std::unique_ptr<PreTokenizer> parse_metaspace_pre_tokenizer(const Json& json, const std::string& where);
std::unique_ptr<PreTokenizer> parse_punctuation_pre_tokenizer(const Json& json, const std::string& where);
std::unique_ptr<PreTokenizer> parse_sequence_pre_tokenizer(const Json& json, const std::string& where);
std::unique_ptr<PreTokenizer> parse_split_pre_tokenizer(const Json& json, const std::string& where);
std::unique_ptr<PreTokenizer> parse_whitespace_pre_tokenizer(const Json& json, const std::string& where);
std::unique_ptr<PreTokenizer> parse_whitespace_split_pre_tokenizer(const Json& json,
                                                                   const std::string& where);

}  // namespace twofold
