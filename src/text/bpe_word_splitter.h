#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "text/bpe_merges.h"
#include "text/vocab.h"

namespace twofold {

/// Finds where a piece can be cut without changing its ids, so that words can be encoded one by one.
///
/// A merge joins two neighbours. If it spans a place in the text, the left one's string ends with the last
/// character before the place and the right one's begins with the first character behind it. So where the
/// merges have no left side that ends with the one together with a right side that begins with the other, no
/// merge ever spans the place, and what happens on its two sides is independent. Characters are taken in
/// classes: each ASCII character, "▁", and all others.
///
/// A character without a piece of its own enters as byte tokens, whose strings begin with "<" and end with
/// ">". Where it could become an unknown token, or vanish, nothing is cut, because unknown tokens join or
/// move over their neighbours.
class BpeWordSplitter {
 public:
  /// `closed`: every character that has no piece of its own becomes byte tokens.
  BpeWordSplitter(const Vocab& vocab, const std::vector<BpeMerge>& merges, bool closed);

  /// End of the word that begins at `begin` < text.size().
  std::size_t word_end(std::string_view text, std::size_t begin) const;

 private:
  static constexpr std::size_t kSpace = 128;  // "▁" (U+2581)
  static constexpr std::size_t kOther = 129;
  static constexpr std::size_t kClasses = 130;

  static std::size_t class_at(std::string_view text, std::size_t at);

  std::array<std::array<bool, kClasses>, kClasses> cut_{};  // [class before][class behind]
};

}  // namespace twofold
