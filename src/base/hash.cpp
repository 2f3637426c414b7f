#include "base/hash.h"

#include <fmt/core.h>
#include <xxhash.h>

namespace twofold {

std::uint64_t xxh3(std::span<const std::uint8_t> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

std::string hex64(std::uint64_t value) {
  return fmt::format("{:016x}", value);
}

}  // namespace twofold
