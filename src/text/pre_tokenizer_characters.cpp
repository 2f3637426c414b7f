// The pre-tokenizers that cut at characters of a class.
#include "text/pre_tokenizer.h"
#include "text/split.h"
#include "text/unicode.h"

namespace twofold {

std::unique_ptr<PreTokenizer> parse_digits_pre_tokenizer(const Json& json, const std::string& where) {
  const bool individual = json_bool(json, "individual_digits", where, false);
  return make_split(make_character_pattern(is_number),
                    individual ? SplitBehavior::kIsolated : SplitBehavior::kContiguous, false);
}

std::unique_ptr<PreTokenizer> parse_punctuation_pre_tokenizer(const Json& json, const std::string& where) {
  return make_split(make_character_pattern(is_punctuation), parse_split_behavior(json, where, "Isolated"),
                    false);
}

std::unique_ptr<PreTokenizer> parse_whitespace_split_pre_tokenizer(const Json& /*json*/,
                                                                   const std::string& /*where*/) {
  return make_split(make_character_pattern(is_white_space), SplitBehavior::kRemoved, false);
}

std::unique_ptr<PreTokenizer> parse_whitespace_pre_tokenizer(const Json& /*json*/, const std::string& where) {
  return make_split(make_regex_pattern(R"([\w\u200c\u200d]+|[^\w\u200c\u200d\s]+)", where),
                    SplitBehavior::kRemoved, true);
}

}  // namespace twofold
