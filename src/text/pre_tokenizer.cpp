#include "text/pre_tokenizer.h"

namespace twofold {

namespace {

constexpr StageKind<PreTokenizer> kKinds[] = {
    {"BertPreTokenizer", parse_bert_pre_tokenizer},
    {"ByteLevel", parse_byte_level_pre_tokenizer},
    {"CharDelimiterSplit", parse_delimiter_pre_tokenizer},
    {"Digits", parse_digits_pre_tokenizer},
    {"Metaspace", parse_metaspace_pre_tokenizer},
    {"Punctuation", parse_punctuation_pre_tokenizer},
    {"Sequence", parse_sequence_pre_tokenizer},
    {"Split", parse_split_pre_tokenizer},
    {"Whitespace", parse_whitespace_pre_tokenizer},
    {"WhitespaceSplit", parse_whitespace_split_pre_tokenizer},
};

}  // namespace

std::unique_ptr<PreTokenizer> parse_pre_tokenizer(const Json& json, const std::string& where) {
  return parse_stage<PreTokenizer>(kKinds, json, where);
}

}  // namespace twofold
