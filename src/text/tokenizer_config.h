#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/added_tokens.h"

namespace twofold {

/// What is used of the files beside a tokenizer's: tokenizer_config.json, special_tokens_map.json and
/// added_tokens.json.
struct TokenizerConfig {
  std::optional<bool> add_bos;
  std::optional<bool> add_eos;
  std::optional<bool> add_prefix_space;
  std::optional<std::string> bos;  // contents of the tokens
  std::optional<std::string> eos;
  std::vector<std::string> special;  // contents of all special tokens that have a role
  std::vector<AddedToken> added;     // tokens besides those of the tokenizer's file
};

/// `text` may be empty. `where` names the file in errors.
TokenizerConfig parse_tokenizer_config(std::string_view text, const std::string& where);

/// Takes from special_tokens_map.json what the configuration does not say.
void add_special_tokens_map(std::string_view text, const std::string& where, TokenizerConfig& config);

/// The tokens of added_tokens.json, {content: id}, that the configuration does not have.
void add_added_tokens_file(std::string_view text, const std::string& where, TokenizerConfig& config);

}  // namespace twofold
