#include "base/json.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "base/error.h"
#include "base/file.h"

namespace twofold {

namespace {

constexpr int kMaxDepth = 128;

constexpr std::size_t kMaxShown = 100;  // characters of a text in a message

std::string cut(std::string text) {
  if (text.size() > kMaxShown) text = text.substr(0, kMaxShown - 3) + "...";
  return text;
}

/// Describes a value in an error message.
std::string describe(const Json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return "an array";
  return cut(value.dump(-1, ' ', true, Json::error_handler_t::replace));
}

const Json* find(const Json& object, std::string_view key, std::string_view where, bool required) {
  if (!object.is_object()) fail("{}: expected a JSON object, found {}", where, describe(object));
  const auto it = object.find(key);
  if (it == object.end() || it->is_null()) {
    if (required) fail("{}: missing field \"{}\"", where, key);
    return nullptr;
  }
  return &*it;
}

}  // namespace

Json parse_json(std::string_view text, std::string_view where) {
  std::vector<std::set<std::string>> keys;
  const auto check = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > kMaxDepth) fail("{}: JSON nested deeper than {} levels", where, kMaxDepth);
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key) {
      const auto& key = parsed.get_ref<const std::string&>();
      if (!keys.back().insert(key).second) fail("{}: JSON key {} appears twice", where, describe(parsed));
    }
    return true;
  };
  // The parser takes a NUL for the end of the text and would leave what follows unread.
  if (const auto nul = text.find('\0'); nul != std::string_view::npos) {
    fail("{}: not valid JSON: NUL character at byte {}", where, nul);
  }
  try {
    return Json::parse(text.begin(), text.end(), check);
  } catch (const Json::exception& error) {
    std::string reason = error.what();
    if (const auto end = reason.find("] "); end != std::string::npos) reason = reason.substr(end + 2);
    if (reason.size() > 200) reason = reason.substr(0, 200) + "...";
    fail("{}: not valid JSON: {}", where, reason);
  }
}

std::string json_quote(std::string_view text) {
  // No more than can be shown is escaped: the text may be as long as the file.
  return describe(Json(std::string(text.substr(0, kMaxShown))));
}

Json read_json_file(const std::filesystem::path& path, std::uint64_t max_bytes) {
  return parse_json(read_file(path, max_bytes), path.string());
}

std::int64_t json_int(const Json& object, std::string_view key, std::string_view where, std::int64_t min,
                      std::int64_t max, std::optional<std::int64_t> fallback) {
  const Json* value = find(object, key, where, !fallback);
  if (value == nullptr) return *fallback;
  const bool fits =
      value->is_number_integer() &&
      !(value->is_number_unsigned() && value->get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX));
  if (!fits || value->get<std::int64_t>() < min || value->get<std::int64_t>() > max) {
    fail("{}: \"{}\": expected an integer from {} to {}, found {}", where, key, min, max, describe(*value));
  }
  return value->get<std::int64_t>();
}

double json_double(const Json& object, std::string_view key, std::string_view where, double min, double max,
                   std::optional<double> fallback) {
  const Json* value = find(object, key, where, !fallback);
  if (value == nullptr) return *fallback;
  const double number = value->is_number() ? value->get<double>() : std::nan("");
  if (!(number >= min && number <= max)) {
    fail("{}: \"{}\": expected a number from {} to {}, found {}", where, key, min, max, describe(*value));
  }
  return number;
}

bool json_bool(const Json& object, std::string_view key, std::string_view where,
               std::optional<bool> fallback) {
  const Json* value = find(object, key, where, !fallback);
  if (value == nullptr) return *fallback;
  if (!value->is_boolean())
    fail("{}: \"{}\": expected true or false, found {}", where, key, describe(*value));
  return value->get<bool>();
}

std::string json_string(const Json& object, std::string_view key, std::string_view where,
                        std::optional<std::string> fallback) {
  const Json* value = find(object, key, where, !fallback);
  if (value == nullptr) return *fallback;
  if (!value->is_string()) fail("{}: \"{}\": expected a string, found {}", where, key, describe(*value));
  return value->get<std::string>();
}

const Json& json_object(const Json& object, std::string_view key, std::string_view where) {
  const Json* value = find(object, key, where, true);
  if (!value->is_object()) fail("{}: \"{}\": expected an object, found {}", where, key, describe(*value));
  return *value;
}

const Json& json_array(const Json& object, std::string_view key, std::string_view where) {
  const Json* value = find(object, key, where, true);
  if (!value->is_array()) fail("{}: \"{}\": expected an array, found {}", where, key, describe(*value));
  return *value;
}

}  // namespace twofold
