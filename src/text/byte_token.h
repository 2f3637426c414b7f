#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace twofold {

/// The piece that stands for one byte of a character without a piece of its own: "<0x0A>".
std::string byte_token(std::uint8_t byte);

/// The byte that a piece stands for; either case of digits is read.
std::optional<std::uint8_t> parse_byte_token(std::string_view piece);

}  // namespace twofold
