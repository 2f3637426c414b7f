#pragma once

#include <cstdint>

namespace twofold {

/// Largest resident set of this process so far, in bytes (mapped file pages included).
std::uint64_t peak_rss_bytes();

/// The resident set now.
std::uint64_t rss_bytes();

/// Makes the allocator give large blocks back to the system when they are freed, and those that are free now:
/// for those who must know how much memory they use. Holds for the whole process.
void return_free_memory();

}  // namespace twofold
