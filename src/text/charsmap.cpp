#include "text/charsmap.h"

#include <algorithm>

#include "base/error.h"
#include "text/unicode.h"

namespace twofold {

namespace {

// The units of the Darts-clone library: a leaf's value, or a label and the offset of the children.
bool has_leaf(std::uint32_t unit) {
  return (unit >> 8 & 1) != 0;
}
std::uint32_t value_of(std::uint32_t unit) {
  return unit & 0x7fffffffU;
}
std::uint32_t label_of(std::uint32_t unit) {
  return unit & 0x800000ffU;
}
std::size_t offset_of(std::uint32_t unit) {
  return static_cast<std::size_t>(unit >> 10) << ((unit & 0x200U) >> 6);
}

}  // namespace

Charsmap::Charsmap(std::string_view bytes, const std::string& where) {
  const auto word = [&](std::size_t at) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      value |= static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[at + i])) << 8 * i;
    }
    return value;
  };
  if (bytes.size() < 8) fail("{}: expected a trie of rules, found {} bytes", where, bytes.size());
  const std::size_t trie_bytes = word(0);
  if (trie_bytes == 0 || trie_bytes % 4 != 0 || trie_bytes > bytes.size() - 4) {
    fail("{}: size of the trie: expected a multiple of 4, at most {}, found {}", where, bytes.size() - 4,
         trie_bytes);
  }
  units_.reserve(trie_bytes / 4);
  for (std::size_t at = 4; at < 4 + trie_bytes; at += 4) units_.push_back(word(at));
  replacements_ = bytes.substr(4 + trie_bytes);
  if (!is_valid_utf8(replacements_)) fail("{}: the replacements are not UTF-8", where);
  for (std::size_t begin = 0; begin < replacements_.size();) {
    const std::size_t end = std::min(replacements_.find('\0', begin), replacements_.size());
    longest_replacement_ = std::max(longest_replacement_, end - begin);
    begin = end + 1;
  }
}

std::optional<Charsmap::Match> Charsmap::find(std::string_view text, bool shortest) const {
  std::optional<Match> match;
  std::size_t node = offset_of(units_[0]);
  // A trie of a hostile file may go round in circles.
  const std::size_t depth = std::min<std::size_t>(text.size(), 256);
  for (std::size_t i = 0; i < depth; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    node ^= byte;
    if (byte == 0 || node >= units_.size() || label_of(units_[node]) != byte) break;
    const std::uint32_t unit = units_[node];
    node ^= offset_of(unit);
    if (!has_leaf(unit) || node >= units_.size()) continue;
    const std::size_t begin = value_of(units_[node]);
    // A rule that ends within a character, or points out of the replacements, or into a character of them,
    // is none.
    const auto is_inside = [](std::string_view whole, std::size_t at) {
      return at < whole.size() && (static_cast<unsigned char>(whole[at]) & 0xc0) == 0x80;
    };
    if (begin > replacements_.size() || is_inside(replacements_, begin) || is_inside(text, i + 1)) continue;
    const std::size_t end = std::min(replacements_.find('\0', begin), replacements_.size());
    match = {i + 1, std::string_view(replacements_).substr(begin, end - begin)};
    if (shortest) break;
  }
  return match;
}

}  // namespace twofold
