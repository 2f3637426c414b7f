#pragma once

#include <string>
#include <string_view>

#include "text/text_pattern.h"

namespace twofold {

/// Replaces every occurrence of `pattern` (not empty), from left to right, not overlapping.
void replace_all(std::string& text, std::string_view pattern, std::string_view content);

/// The same for a pattern of any kind.
void replace_all(std::string& text, const TextPattern& pattern, std::string_view content);

/// How many times longer that may make a text, at least 1.
double replace_growth(const TextPattern& pattern, std::string_view content);

}  // namespace twofold
