#pragma once

#include <string>

#include "base/json.h"

namespace twofold {

/// Where a Metaspace stage puts a space in front of text that does not begin with one.
enum class PrependScheme { kFirst, kAlways, kNever };

/// The fields that the pre-tokenizer and the decoder of this kind share.
struct Metaspace {
  std::string replacement;  // one character that stands for a space, usually "▁"
  PrependScheme scheme = PrependScheme::kAlways;
  bool split = true;  // a piece ends before each replacement character
};

Metaspace parse_metaspace(const Json& json, const std::string& where);

}  // namespace twofold
