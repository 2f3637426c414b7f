#include "text/model.h"

namespace twofold {

namespace {

constexpr StageKind<TokenizerModel> kKinds[] = {
    {"BPE", parse_bpe_model},
    {"Unigram", parse_unigram_model},
};

}  // namespace

std::unique_ptr<TokenizerModel> parse_model(const Json& json, const std::string& where) {
  return parse_stage<TokenizerModel>(kKinds, json, where);
}

}  // namespace twofold
