#pragma once

#include <cstdint>
#include <string>

namespace twofold {

/// Bytes of a size as "5GB", "500MB", "2GiB" or "1000000". Throws UsageError that names the flag.
std::uint64_t parse_size(const std::string& text, const std::string& flag);

}  // namespace twofold
