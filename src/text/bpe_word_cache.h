#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/hash.h"
#include "text/tokenizer.h"

namespace twofold {

/// Remembers where in the output the ids of a word stand, during one call of encode: a direct-mapped table
/// whose size goes with the text. Words are views of the text, which must stay.
class BpeWordCache {
 public:
  explicit BpeWordCache(std::size_t text_bytes)
      : slots_(std::min<std::size_t>(std::bit_ceil(text_bytes / 8 + 1), std::size_t{1} << 15)) {}

  /// Longer words are rare and come once.
  static bool takes(std::string_view word) { return word.size() <= 48; }

  /// Appends the ids of `word`: from the output, or by `append`, which must append them to `ids`.
  template <typename Append>
  void encode(std::string_view word, std::vector<TokenId>& ids, Append append) {
    Slot& slot = slots_[xxh3(as_bytes(word)) & (slots_.size() - 1)];
    const std::size_t begin = ids.size();
    if (slot.word == word) {
      ids.resize(begin + slot.count);
      std::copy_n(ids.begin() + static_cast<std::ptrdiff_t>(slot.begin), slot.count,
                  ids.begin() + static_cast<std::ptrdiff_t>(begin));
    } else {
      append();
      slot.count = static_cast<std::uint32_t>(ids.size() - begin);
    }
    slot.word = word;  // after a hit too: the latest copies are the ones that the processor has at hand
    slot.begin = begin;
  }

 private:
  struct Slot {
    std::string_view word;    // the one whose ids these are; empty at first
    std::size_t begin = 0;    // index of the first id in the output
    std::uint32_t count = 0;  // ids
  };

  std::vector<Slot> slots_;
};

}  // namespace twofold
