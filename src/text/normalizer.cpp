#include "text/normalizer.h"

namespace twofold {

namespace {

constexpr StageKind<Normalizer> kKinds[] = {
    {"ByteLevel", parse_byte_level_normalizer},
    {"Lowercase", parse_lowercase_normalizer},
    {"NFC", parse_nfc_normalizer},
    {"NFD", parse_nfd_normalizer},
    {"NFKC", parse_nfkc_normalizer},
    {"NFKD", parse_nfkd_normalizer},
    {"Nmt", parse_nmt_normalizer},
    {"Precompiled", parse_precompiled_normalizer},
    {"Prepend", parse_prepend_normalizer},
    {"Replace", parse_replace_normalizer},
    {"Sequence", parse_sequence_normalizer},
    {"Strip", parse_strip_normalizer},
    {"StripAccents", parse_strip_accents_normalizer},
};

}  // namespace

std::unique_ptr<Normalizer> parse_normalizer(const Json& json, const std::string& where) {
  return parse_stage<Normalizer>(kKinds, json, where);
}

}  // namespace twofold
