#include "text/utf8_stream.h"

#include <utility>

#include "text/unicode.h"

namespace twofold {

namespace {

/// Bytes of the character that this byte begins; 1 for one that begins none.
std::size_t promised_length(unsigned char lead) {
  if (lead >= 0xf0) return 4;
  if (lead >= 0xe0) return 3;
  return lead >= 0xc0 ? 2 : 1;
}

}  // namespace

std::string Utf8Stream::add(std::string_view bytes) {
  held_ += bytes;
  std::size_t end = 0;
  while (end < held_.size()) {
    const Utf8Step step = utf8_step(held_, end);
    const bool cut_off = !step.valid && end + step.length == held_.size() &&
                         step.length < promised_length(static_cast<unsigned char>(held_[end]));
    if (cut_off) break;
    end += step.length;
  }
  const std::string complete = held_.substr(0, end);
  held_.erase(0, end);
  return replace_invalid_utf8(complete);
}

std::string Utf8Stream::finish() {
  return replace_invalid_utf8(std::exchange(held_, {}));
}

}  // namespace twofold
