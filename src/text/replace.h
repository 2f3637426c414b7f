#pragma once

#include <string>
#include <string_view>

namespace twofold {

/// Normalized text may have this many bytes; what would grow beyond is an Error.
inline constexpr std::size_t kMaxTextBytes = std::size_t{1} << 30;

/// Replaces every occurrence of `pattern` (not empty), from left to right, not overlapping. Throws Error when
/// the text would grow beyond kMaxTextBytes.
void replace_all(std::string& text, std::string_view pattern, std::string_view content);

}  // namespace twofold
