#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace twofold {

/// SentencePiece's precompiled normalization rules: a double-array trie (Aoe 1989) from texts to texts.
class Charsmap {
 public:
  /// From the bytes of a `precompiled_charsmap`: the size of the trie (32 bits), the trie, and the
  /// replacements, each ended by a NUL. Throws Error, with `where`, for what is not of that form.
  Charsmap(std::string_view bytes, const std::string& where);

  struct Match {
    std::size_t length = 0;  // bytes of the text
    std::string_view replacement;
  };
  /// The shortest and the longest text with a rule that `text` begins with.
  std::optional<Match> shortest(std::string_view text) const { return find(text, true); }
  std::optional<Match> longest(std::string_view text) const { return find(text, false); }

  std::size_t longest_replacement() const { return longest_replacement_; }

 private:
  std::optional<Match> find(std::string_view text, bool shortest) const;

  std::vector<std::uint32_t> units_;
  std::string replacements_;
  std::size_t longest_replacement_ = 0;
};

}  // namespace twofold
