#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "text/component.h"

namespace twofold {

/// Cuts normalized text into the pieces that the model encodes one by one.
class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;

  /// May rewrite `text` (valid UTF-8, not empty) and appends where its pieces end: ascending, the last one
  /// text.size(). `at_start` says whether `text` is the beginning of what the user gave, not the part behind
  /// an added token.
  virtual void pre_tokenize(std::string& text, bool at_start, std::vector<std::size_t>& ends) const = 0;
};

/// Parses the "pre_tokenizer" of a tokenizer.json. `where` names it in errors.
std::unique_ptr<PreTokenizer> parse_pre_tokenizer(const Json& json, const std::string& where);

// One per file pre_tokenizer_*.cpp.
std::unique_ptr<PreTokenizer> parse_metaspace_pre_tokenizer(const Json& json, const std::string& where);

}  // namespace twofold
