#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace twofold {

/// A set of fixed texts to look for in another: at each place the longest one that begins there.
class PatternSet {
 public:
  PatternSet() = default;
  /// Patterns must not be empty and not repeat.
  explicit PatternSet(std::vector<std::string> patterns);

  struct Match {
    std::size_t begin = 0;
    std::size_t end = 0;
    std::size_t pattern = 0;  // index as given
  };

  /// The first match that begins at `from` or behind. Time: the distance times the longest pattern.
  std::optional<Match> find(std::string_view text, std::size_t from) const;

 private:
  std::optional<Match> match_at(std::string_view text, std::size_t begin) const;

  std::vector<std::string> patterns_;  // ordered
  std::vector<std::size_t> index_;     // of the pattern, as given
  std::array<bool, 256> starts_{};     // bytes that begin a pattern
};

}  // namespace twofold
