#pragma once

#include <string>
#include <string_view>

namespace twofold {

/// Replaces every occurrence of `pattern` (not empty), from left to right, not overlapping.
void replace_all(std::string& text, std::string_view pattern, std::string_view content);

/// How many times longer that may make a text, at least 1.
double replace_growth(std::string_view pattern, std::string_view content);

}  // namespace twofold
