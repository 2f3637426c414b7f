#include "text/normalizer.h"

namespace twofold {

namespace {

constexpr StageKind<Normalizer> kKinds[] = {
    {"Prepend", parse_prepend_normalizer},
    {"Replace", parse_replace_normalizer},
    {"Sequence", parse_sequence_normalizer},
};

}  // namespace

std::unique_ptr<Normalizer> parse_normalizer(const Json& json, const std::string& where) {
  return parse_stage<Normalizer>(kKinds, json, where);
}

}  // namespace twofold
