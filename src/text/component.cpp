#include "text/component.h"

#include <nlohmann/json.hpp>

#include "text/unicode.h"

namespace twofold {

std::string quote(std::string_view text) {
  std::string quoted =
      Json(std::string(text.substr(0, 60))).dump(-1, ' ', true, Json::error_handler_t::replace);
  if (text.size() > 60) quoted += "...";
  return quoted;
}

void require_unused(const Json& object, std::string_view key, std::string_view where) {
  const auto it = object.find(key);
  if (it == object.end() || it->is_null() || (it->is_string() && it->get_ref<const std::string&>().empty())) {
    return;
  }
  fail("{}: \"{}\": not supported, expected null, found {}", where, key, quote(it->dump()));
}

std::string join_path(std::string_view where, std::string_view key) {
  return fmt::format("{}.{}", where, key);
}

std::string join_path(std::string_view where, std::string_view key, std::size_t index) {
  return fmt::format("{}.{}[{}]", where, key, index);
}

std::string json_character(const Json& object, std::string_view key, std::string_view where) {
  std::string text = json_string(object, key, where);
  if (text.empty() || utf8_step(text, 0).length != text.size()) {
    fail("{}: \"{}\": expected one character, found {}", where, key, quote(text));
  }
  return text;
}

}  // namespace twofold
