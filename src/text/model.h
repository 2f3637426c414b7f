#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "text/component.h"
#include "text/tokenizer.h"
#include "text/vocab.h"

namespace twofold {

/// Turns the pieces of normalized text into ids.
class TokenizerModel {
 public:
  explicit TokenizerModel(Vocab vocab) : vocab_(std::move(vocab)) {}
  virtual ~TokenizerModel() = default;

  const Vocab& vocab() const { return vocab_; }

  /// Appends the ids of the pieces of `text` (valid UTF-8, shorter than 2^32 - 1 bytes), which end at `ends`
  /// as PreTokenizer gives them.
  virtual void encode(std::string_view text, const std::vector<std::size_t>& ends,
                      std::vector<TokenId>& ids) const = 0;

 private:
  Vocab vocab_;
};

/// Parses the "model" of a tokenizer.json. `where` names it in errors.
std::unique_ptr<TokenizerModel> parse_model(const Json& json, const std::string& where);

// One per file model_*.cpp.
std::unique_ptr<TokenizerModel> parse_bpe_model(const Json& json, const std::string& where);
std::unique_ptr<TokenizerModel> parse_unigram_model(const Json& json, const std::string& where);

}  // namespace twofold
