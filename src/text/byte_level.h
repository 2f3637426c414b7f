#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace twofold {

/// GPT-2's alphabet: every byte is one printable character, itself where it is printable in Latin-1 and
/// U+0100 and up, in order, for the others. So a vocabulary of any bytes can be written as text.
std::string to_byte_level(std::string_view bytes);

/// The bytes that characters of the alphabet stand for; nothing where one is not of it.
std::optional<std::string> from_byte_level(std::string_view text);

/// The expression by which GPT-2 cuts text into words (Radford et al. 2019, encoder.py).
inline constexpr std::string_view kGpt2Expression =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

}  // namespace twofold
