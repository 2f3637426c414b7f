#include "text/pattern_set.h"

#include <algorithm>
#include <numeric>

namespace twofold {

PatternSet::PatternSet(std::vector<std::string> patterns) : index_(patterns.size()) {
  std::iota(index_.begin(), index_.end(), std::size_t{0});
  std::ranges::sort(index_, {}, [&](std::size_t i) -> const std::string& { return patterns[i]; });
  for (const std::size_t i : index_) {
    patterns_.push_back(std::move(patterns[i]));
    starts_[static_cast<unsigned char>(patterns_.back()[0])] = true;
  }
}

std::optional<PatternSet::Match> PatternSet::find(std::string_view text, std::size_t from) const {
  for (std::size_t begin = from; begin < text.size(); ++begin) {
    if (!starts_[static_cast<unsigned char>(text[begin])]) continue;
    if (const auto match = match_at(text, begin)) return match;
  }
  return std::nullopt;
}

std::optional<PatternSet::Match> PatternSet::match_at(std::string_view text, std::size_t begin) const {
  std::optional<Match> longest;
  // [first, last): the patterns that begin with text[begin, begin + depth). The shortest comes first.
  auto first = patterns_.begin();
  auto last = patterns_.end();
  for (std::size_t depth = 0; begin + depth < text.size(); ++depth) {
    const auto byte = static_cast<unsigned char>(text[begin + depth]);
    const auto byte_of = [depth](const std::string& pattern) {
      return pattern.size() > depth ? static_cast<unsigned char>(pattern[depth]) : -1;
    };
    first = std::ranges::lower_bound(first, last, static_cast<int>(byte), {}, byte_of);
    last = std::ranges::upper_bound(first, last, static_cast<int>(byte), {}, byte_of);
    if (first == last) break;
    if (first->size() == depth + 1) {
      longest = {begin, begin + depth + 1, index_[static_cast<std::size_t>(first - patterns_.begin())]};
    }
  }
  return longest;
}

}  // namespace twofold
