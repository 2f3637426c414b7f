#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "text/normalizer.h"
#include "text/pattern_set.h"
#include "text/tokenizer.h"
#include "text/vocab.h"

namespace twofold {

/// A token that is looked for in the text before the model sees it.
struct AddedToken {
  TokenId id = 0;
  std::string content;
  std::string pattern;       // what to look for: the content, normalized where `normalized` says so
  bool special = false;      // left out of decoded text
  bool single_word = false;  // not next to a word character
  bool lstrip = false;       // takes the white space before it
  bool rstrip = false;       // takes the white space behind it
  bool normalized = false;   // looked for in the normalized text
};

/// A part of a text: an added token, or text between them.
struct TextSegment {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::optional<TokenId> token;
};

/// The "added_tokens" of a tokenizer.json.
class AddedTokens {
 public:
  /// `normalizer` may be null. `where` names the array in errors. Throws Error where an id is not the one the
  /// reference would give: that of the vocabulary for a piece there, otherwise numbered on from its count or
  /// the ids before.
  AddedTokens(const Json& array, const Vocab& vocab, const Normalizer* normalizer, const std::string& where);

  /// From tokens with id, content and flags; where `pattern` is empty it is made as above. Of tokens with the
  /// same content the first is taken.
  AddedTokens(std::vector<AddedToken> tokens, const Normalizer* normalizer, const std::string& where);

  const std::vector<AddedToken>& tokens() const { return tokens_; }

  /// Cuts text at the tokens that are looked for before normalization, or at those looked for after it.
  /// Appends no empty segments.
  void split(std::string_view text, bool normalized, std::vector<TextSegment>& segments) const;

 private:
  void add(AddedToken token, const Normalizer* normalizer, const std::string& path);
  void index();

  /// The tokens of one of the two passes.
  struct Pass {
    std::vector<std::size_t> tokens;  // index of the token of each pattern
    PatternSet patterns;
  };

  std::vector<AddedToken> tokens_;
  std::set<std::string> patterns_[2];  // by `normalized`
  Pass raw_;
  Pass normalized_;
};

}  // namespace twofold
