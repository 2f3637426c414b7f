#pragma once

#include <cstdint>

namespace twofold {

/// Largest resident set of this process so far, in bytes (mapped file pages included).
std::uint64_t peak_rss_bytes();

}  // namespace twofold
