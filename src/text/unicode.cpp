#include "text/unicode.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace twofold {

Utf8Step utf8_step(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0U;
  };
  const unsigned lead = byte(0);
  if (lead < 0x80) return {1, true};
  // Bytes that follow, and the range of the first of them: narrower than 80..BF where the sequence would be
  // overlong, a surrogate or above U+10FFFF.
  std::size_t tail = 0;
  unsigned low = 0x80;
  unsigned high = 0xbf;
  if (lead >= 0xc2 && lead <= 0xdf) {
    tail = 1;
  } else if (lead >= 0xe0 && lead <= 0xef) {
    tail = 2;
    if (lead == 0xe0) low = 0xa0;
    if (lead == 0xed) high = 0x9f;
  } else if (lead >= 0xf0 && lead <= 0xf4) {
    tail = 3;
    if (lead == 0xf0) low = 0x90;
    if (lead == 0xf4) high = 0x8f;
  } else {
    return {1, false};
  }
  for (std::size_t i = 1; i <= tail; ++i) {
    if (byte(i) < low || byte(i) > high) return {i, false};
    low = 0x80;
    high = 0xbf;
  }
  return {tail + 1, true};
}

namespace {

/// Length of the valid text before the first invalid sequence at or behind `at`, from the start of `text`.
std::size_t valid_until(std::string_view text, std::size_t at) {
  while (at < text.size()) {
    std::uint64_t eight = 0;
    while (at + sizeof(eight) <= text.size()) {
      std::memcpy(&eight, text.data() + at, sizeof(eight));
      if ((eight & 0x8080808080808080U) != 0) break;
      at += sizeof(eight);
    }
    if (at == text.size()) break;
    const Utf8Step step = utf8_step(text, at);
    if (!step.valid) break;
    at += step.length;
  }
  return at;
}

}  // namespace

bool is_valid_utf8(std::string_view text) {
  return valid_until(text, 0) == text.size();
}

std::string replace_invalid_utf8(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = valid_until(text, at);
    result.append(text.substr(at, end - at));
    at = end;
    if (at == text.size()) break;
    result.append("\xef\xbf\xbd");
    at += utf8_step(text, at).length;
  }
  return result;
}

bool in_ranges(std::span<const CodePointRange> ranges, char32_t code_point) {
  const auto it = std::ranges::lower_bound(ranges, code_point, {}, &CodePointRange::last);
  return it != ranges.end() && it->first <= code_point;
}

}  // namespace twofold
