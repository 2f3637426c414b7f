#include "text/pre_tokenizer.h"

namespace twofold {

namespace {

constexpr StageKind<PreTokenizer> kKinds[] = {
    {"Metaspace", parse_metaspace_pre_tokenizer},
};

}  // namespace

std::unique_ptr<PreTokenizer> parse_pre_tokenizer(const Json& json, const std::string& where) {
  return parse_stage<PreTokenizer>(kKinds, json, where);
}

}  // namespace twofold
