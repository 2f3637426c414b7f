#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace twofold {

/// What is used of a tokenizer_config.json.
struct TokenizerConfig {
  std::optional<bool> add_bos;
  std::optional<bool> add_eos;
  std::optional<std::string> bos;  // contents of the tokens
  std::optional<std::string> eos;
};

/// `text` may be empty. `where` names the file in errors.
TokenizerConfig parse_tokenizer_config(std::string_view text, const std::string& where);

}  // namespace twofold
