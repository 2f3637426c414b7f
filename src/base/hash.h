#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace twofold {

/// XXH3, 64 bits: the checksum of every stored chunk and tensor.
std::uint64_t xxh3(std::span<const std::uint8_t> bytes);

/// 16 lower-case hexadecimal digits, as checksums are written in JSON.
std::string hex64(std::uint64_t value);

}  // namespace twofold
