#include "text/pre_tokenizer.h"
#include "text/split.h"

namespace twofold {

std::unique_ptr<PreTokenizer> parse_split_pre_tokenizer(const Json& json, const std::string& where) {
  return make_split(parse_text_pattern(json, "pattern", where), parse_split_behavior(json, where),
                    json_bool(json, "invert", where, false));
}

std::unique_ptr<PreTokenizer> parse_delimiter_pre_tokenizer(const Json& json, const std::string& where) {
  return make_split(make_string_pattern(json_character(json, "delimiter", where)), SplitBehavior::kRemoved,
                    false);
}

}  // namespace twofold
