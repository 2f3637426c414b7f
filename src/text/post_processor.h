#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "text/tokenizer.h"

namespace twofold {

/// What a prompt gets around its ids.
struct PromptTemplate {
  std::vector<TokenId> before;
  std::vector<TokenId> after;
};

/// Parses the "post_processor" of a tokenizer.json. Ids are checked only for their range. `where` names it in
/// errors.
PromptTemplate parse_post_processor(const Json& json, const std::string& where);

}  // namespace twofold
