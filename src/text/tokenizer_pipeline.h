#pragma once

#include <memory>
#include <string>
#include <vector>

#include "text/added_tokens.h"
#include "text/decoder.h"
#include "text/model.h"
#include "text/normalizer.h"
#include "text/post_processor.h"
#include "text/pre_tokenizer.h"
#include "text/tokenizer.h"
#include "text/tokenizer_config.h"

namespace twofold {

/// At most so many bytes are encoded in one call.
inline constexpr std::size_t kMaxTextBytes = std::size_t{1} << 28;

/// Normalizers and decoders may make text at most so many times longer, so that a small hostile file cannot
/// fill the memory. Real ones stay below 20.
inline constexpr double kMaxGrowth = 256;

/// The stages of a tokenizer.json. A null stage does nothing.
struct TokenizerStages {
  std::unique_ptr<Normalizer> normalizer;
  std::unique_ptr<PreTokenizer> pre_tokenizer;
  std::unique_ptr<TokenizerModel> model;  // never null in the end
  std::unique_ptr<TextDecoder> decoder;
  std::unique_ptr<AddedTokens> added;  // nor this
  PromptTemplate prompt;
  std::optional<TokenId> bos;
  std::optional<TokenId> eos;
};

/// Throws Error when stages could make text explode. To be called before `added` is made, which normalizes.
void check_growth(const TokenizerStages& stages, const std::string& where);

/// Settles which tokens begin and end a text, and makes the
/// tokenizer. `config` decides where it says something; where it does not, the prompt's template and `bos`
/// and `eos` of the stages hold, or a lone id of the template is taken for them. The names are for errors:
/// that of the tokenizer's file and of tokenizer_config.json.
std::unique_ptr<Tokenizer> assemble_tokenizer(TokenizerStages stages, const TokenizerConfig& config,
                                              const std::string& where, const std::string& where_config);

/// The order in which the reference runs them. Encoding: added tokens are cut out, the text between is
/// normalized, added tokens of the normalized kind are cut out, the rest is cut into pieces, the model
/// encodes each. Decoding: ids become strings, special ones are left out, the decoder makes text of them.
class TokenizerPipeline : public Tokenizer {
 public:
  /// `where` names the file in errors. Throws Error when the prompt template has an id without a token.
  TokenizerPipeline(TokenizerStages stages, std::string where);

  std::vector<TokenId> encode(std::string_view text) const override;
  std::vector<TokenId> encode_prompt(std::string_view text) const override;
  std::string decode(const std::vector<TokenId>& ids) const override { return decode(ids, false); }
  std::string decode_with_special(const std::vector<TokenId>& ids) const override {
    return decode(ids, true);
  }
  std::string piece(TokenId id) const override;
  std::int64_t vocab_size() const override { return static_cast<std::int64_t>(tokens_.size()); }
  std::optional<TokenId> bos() const override { return stages_.bos; }
  std::optional<TokenId> eos() const override { return stages_.eos; }

 private:
  struct TokenText {
    const std::string* text = nullptr;  // null at gaps of the ids
    bool special = false;
  };

  std::string decode(const std::vector<TokenId>& ids, bool special) const;
  void encode_text(std::string_view text, bool at_start, std::vector<TokenId>& ids) const;
  const TokenText& token_text(TokenId id) const;

  TokenizerStages stages_;
  std::string where_;
  std::vector<TokenText> tokens_;  // by id
};

}  // namespace twofold
