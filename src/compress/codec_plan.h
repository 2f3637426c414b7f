#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "base/json.h"
#include "codec/codec.h"

namespace twofold {

inline constexpr int kPlanVersion = 1;

/// Which codec each coded tensor has: what a plan file says to `compress` and `transcode`.
struct CodecPlan {
  std::string codec = "ans";                   // of the tensors that are not named
  std::map<std::string, std::string> tensors;  // name of the weight -> codec
  std::string source;                          // the file, for errors; empty: none

  const Codec& codec_of(const std::string& tensor) const;
};

/// What a recipe says of the codecs that were used: the name of the only one, or "mixed".
std::string codec_summary(const std::set<std::string>& used);

/// Reads the part of a plan file that is about codecs:
///   {"twofold_plan": 1, "codec": NAME, "tensors": {WEIGHT: {"codec": NAME, ...}, ...}, ...}
/// Everything wrong with it is an Error that names file and field.
CodecPlan read_codec_plan(const std::filesystem::path& path);
CodecPlan parse_codec_plan(const Json& json, std::string_view where);

}  // namespace twofold
