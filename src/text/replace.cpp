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

double replace_growth(std::string_view pattern, std::string_view content) {
  return std::max(1.0, static_cast<double>(content.size()) / static_cast<double>(pattern.size()));
}

}  // namespace twofold
