#include "eval/tasks/text_steps.h"

#include <utf8proc.h>

#include "text/unicode.h"

namespace twofold {

namespace {

template <typename Map>
std::string map_characters(std::string_view text, Map&& map) {
  const std::string valid = replace_invalid_utf8(text);
  std::string out;
  for (std::size_t at = 0; at < valid.size();) {
    const auto character = static_cast<utf8proc_int32_t>(next_code_point(valid, at));
    append_utf8(static_cast<char32_t>(map(character)), out);
  }
  return out;
}

}  // namespace

std::string strip(std::string_view text) {
  const std::string valid = replace_invalid_utf8(text);
  std::size_t begin = 0;
  while (begin < valid.size()) {
    std::size_t next = begin;
    if (!is_white_space(next_code_point(valid, next))) break;
    begin = next;
  }
  std::size_t end = valid.size();
  while (end > begin) {
    const std::size_t previous = previous_code_point(valid, end);
    std::size_t at = previous;
    if (!is_white_space(next_code_point(valid, at))) break;
    end = previous;
  }
  return valid.substr(begin, end - begin);
}

std::string lower(std::string_view text) {
  return map_characters(text, utf8proc_tolower);
}

std::string capitalize(std::string_view text) {
  bool first = true;
  return map_characters(text, [&](utf8proc_int32_t character) {
    const auto mapped = first ? utf8proc_totitle(character) : utf8proc_tolower(character);
    first = false;
    return mapped;
  });
}

std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  std::size_t at = 0;
  for (std::size_t found; (found = text.find(from, at)) != std::string_view::npos; at = found + from.size())
    out.append(text.substr(at, found - at)).append(to);
  return out.append(text.substr(at));
}

std::size_t characters(std::string_view text) {
  std::size_t count = 0;
  for (std::size_t at = 0; at < text.size(); at += utf8_step(text, at).length) ++count;
  return count;
}

}  // namespace twofold
