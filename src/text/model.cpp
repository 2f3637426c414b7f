#include "text/model.h"

namespace twofold {

namespace {

constexpr StageKind<Model> kKinds[] = {
    {"BPE", parse_bpe_model},
};

}  // namespace

std::unique_ptr<Model> parse_model(const Json& json, const std::string& where) {
  return parse_stage<Model>(kKinds, json, where);
}

}  // namespace twofold
