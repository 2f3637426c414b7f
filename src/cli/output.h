#pragma once

#include <string_view>

namespace twofold {

/// Writes to standard output and flushes. Throws Error when that fails.
void print_out(std::string_view text);

}  // namespace twofold
