#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace twofold {

/// Bytes of text in base64 (RFC 4648, section 4), padded; nothing where it is not well-formed.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace twofold
