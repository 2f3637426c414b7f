#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace twofold {

/// Largest resident set of this process so far, in bytes (mapped file pages included).
std::uint64_t peak_rss_bytes();

/// The resident set now.
std::uint64_t rss_bytes();

/// Makes the allocator give large blocks back to the system when they are freed, and those that are free now:
/// for those who must know how much memory they use. Holds for the whole process.
void return_free_memory();

/// Numbers of streams in which memory may be read: which is fastest differs among machines.
inline constexpr std::array kReadStreams = {1, 2, 4};

/// Reads `bytes` in so many streams side by side and returns the sum of what it read: for measuring how fast
/// memory can be read. `streams` is one of kReadStreams.
std::uint64_t read_in_streams(std::span<const std::uint8_t> bytes, int streams);

}  // namespace twofold
