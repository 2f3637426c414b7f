#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace twofold {

/// One step through text of any bytes: a well-formed UTF-8 sequence (Unicode 15, table 3-7), or the longest
/// start of one, at least one byte. The latter is what one U+FFFD stands for ("maximal subpart", Unicode 15,
/// section 3.9), as in Python's and Rust's lossy decoding.
struct Utf8Step {
  std::size_t length = 0;
  bool valid = false;
};
Utf8Step utf8_step(std::string_view text, std::size_t at);

/// Text with U+FFFD in place of what is not UTF-8.
std::string replace_invalid_utf8(std::string_view text);

bool is_valid_utf8(std::string_view text);

/// The code point that starts at `at` of valid UTF-8; `at` moves behind it.
inline char32_t next_code_point(std::string_view text, std::size_t& at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
  const char32_t lead = byte(0);
  char32_t value = lead;
  std::size_t length = 1;
  if (lead >= 0xf0) {
    value = (lead & 7) << 18 | (byte(1) & 0x3fU) << 12 | (byte(2) & 0x3fU) << 6 | (byte(3) & 0x3fU);
    length = 4;
  } else if (lead >= 0xe0) {
    value = (lead & 15) << 12 | (byte(1) & 0x3fU) << 6 | (byte(2) & 0x3fU);
    length = 3;
  } else if (lead >= 0x80) {
    value = (lead & 31) << 6 | (byte(1) & 0x3fU);
    length = 2;
  }
  at += length;
  return value;
}

/// Start of the code point that ends before `at` of valid UTF-8; `at` > 0.
inline std::size_t previous_code_point(std::string_view text, std::size_t at) {
  do --at;
  while ((static_cast<unsigned char>(text[at]) & 0xc0) == 0x80);
  return at;
}

/// What \w and \s match in Unicode regular expressions (UTS 18, annex C): letters, marks, digits, connectors
/// and joiners; white space.
bool is_word_character(char32_t code_point);
bool is_white_space(char32_t code_point);

/// Characters of the category N; of P, and the ASCII symbols among `$+<=>^`|~`; of M.
bool is_number(char32_t code_point);
bool is_punctuation(char32_t code_point);
bool is_mark(char32_t code_point);

/// Appends the UTF-8 of a scalar value.
void append_utf8(char32_t code_point, std::string& text);

}  // namespace twofold
