#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace twofold {

// What the data sets' preprocessing does to text, with the results of Python's methods of the same names.

std::string strip(std::string_view text);
std::string lower(std::string_view text);
/// The first character in title case, all others in lower case.
std::string capitalize(std::string_view text);
std::string replace_all(std::string_view text, std::string_view from, std::string_view to);
/// Number of code points; a byte that is not UTF-8 counts as one.
std::size_t characters(std::string_view text);

}  // namespace twofold
