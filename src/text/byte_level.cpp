#include "text/byte_level.h"

#include <array>

#include "text/unicode.h"

namespace twofold {

namespace {

constexpr char32_t kFirstShifted = 0x100;
constexpr std::size_t kShifted = 68;  // bytes that are not printable

constexpr bool is_printable(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte != 0xad);
}

struct Alphabet {
  std::array<char32_t, 256> character{};
  std::array<std::uint8_t, kFirstShifted + kShifted> byte{};
  std::array<bool, kFirstShifted + kShifted> used{};
};

constexpr Alphabet make_alphabet() {
  Alphabet alphabet;
  char32_t shifted = kFirstShifted;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const char32_t character = is_printable(byte) ? static_cast<char32_t>(byte) : shifted++;
    alphabet.character[byte] = character;
    alphabet.byte[character] = static_cast<std::uint8_t>(byte);
    alphabet.used[character] = true;
  }
  return alphabet;
}

constexpr Alphabet kAlphabet = make_alphabet();

}  // namespace

std::string to_byte_level(std::string_view bytes) {
  std::string text(2 * bytes.size(), '\0');
  char* out = text.data();
  for (const char byte : bytes) {
    const char32_t character = kAlphabet.character[static_cast<unsigned char>(byte)];
    if (character < 0x80) {
      *out++ = static_cast<char>(character);
    } else {  // all are below U+0800
      *out++ = static_cast<char>(0xc0 | character >> 6);
      *out++ = static_cast<char>(0x80 | (character & 0x3f));
    }
  }
  text.resize(static_cast<std::size_t>(out - text.data()));
  return text;
}

std::optional<std::string> from_byte_level(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const char32_t character = next_code_point(text, at);
    if (character >= kAlphabet.byte.size() || !kAlphabet.used[character]) return std::nullopt;
    bytes += static_cast<char>(kAlphabet.byte[character]);
  }
  return bytes;
}

}  // namespace twofold
