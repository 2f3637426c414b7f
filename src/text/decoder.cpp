#include "text/decoder.h"

namespace twofold {

namespace {

constexpr StageKind<TextDecoder> kKinds[] = {
    {"BPEDecoder", parse_bpe_decoder},       {"ByteFallback", parse_byte_fallback_decoder},
    {"ByteLevel", parse_byte_level_decoder}, {"Fuse", parse_fuse_decoder},
    {"Metaspace", parse_metaspace_decoder},  {"Replace", parse_replace_decoder},
    {"Sequence", parse_sequence_decoder},    {"Strip", parse_strip_decoder},
};

}  // namespace

std::unique_ptr<TextDecoder> parse_decoder(const Json& json, const std::string& where) {
  return parse_stage<TextDecoder>(kKinds, json, where);
}

}  // namespace twofold
