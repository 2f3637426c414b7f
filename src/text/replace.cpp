#include "text/replace.h"

#include <algorithm>

namespace twofold {

void replace_all(std::string& text, std::string_view pattern, std::string_view content) {
  std::size_t found = text.find(pattern);
  if (found == std::string::npos) return;
  std::string result;
  result.reserve(text.size() + text.size() / 2);
  std::size_t copied = 0;
  for (; found != std::string::npos; found = text.find(pattern, copied)) {
    result.append(text, copied, found - copied);
    result.append(content);
    copied = found + pattern.size();
  }
  result.append(text, copied);
  text = std::move(result);
}

void replace_all(std::string& text, const TextPattern& pattern, std::string_view content) {
  std::string result;
  std::size_t copied = 0;
  pattern.for_each(text, [&](std::size_t begin, std::size_t end) {
    if (result.empty()) result.reserve(text.size() + text.size() / 2);
    result.append(text, copied, begin - copied);
    result.append(content);
    copied = end;
  });
  if (copied == 0 && result.empty()) return;
  result.append(text, copied);
  text = std::move(result);
}

double replace_growth(const TextPattern& pattern, std::string_view content) {
  const auto added = static_cast<double>(content.size());
  if (pattern.min_bytes() == 0) return 1 + added;  // between any two characters
  return std::max(1.0, added / static_cast<double>(pattern.min_bytes()));
}

}  // namespace twofold
