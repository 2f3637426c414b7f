#pragma once

#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/json.h"

namespace twofold {

/// Reads an architecture's fields of config.json and keeps book of which: a field that nobody asked for may
/// say that the model computes something else, so `finish` makes it an Error unless
///   it is null, false or empty, which is how a feature is switched off, or
///   it is one of those that all models have and that change no result (names, ids, dropout, training and
///   generation settings), or
///   the architecture told by `harmless` that it does not matter.
class ConfigReader {
 public:
  /// `object` must outlive this. `where` names the file in errors.
  ConfigReader(const Json& object, std::string_view where) : object_(object), where_(where) {}

  std::int64_t integer(const char* key, std::int64_t min, std::int64_t max,
                       std::optional<std::int64_t> fallback = std::nullopt);
  double number(const char* key, double min, double max, std::optional<double> fallback = std::nullopt);
  bool flag(const char* key, std::optional<bool> fallback = std::nullopt);
  std::string text(const char* key, std::optional<std::string> fallback = std::nullopt);
  /// Whether the field is there, be it null.
  bool contains(const char* key);
  /// The value, or nullptr when missing or null.
  const Json* find(const char* key);

  /// A field of which one value only is supported, missing means that value too.
  void require(const char* key, bool value);

  void harmless(std::initializer_list<const char*> keys);
  /// Throws Error for the first field left.
  void finish() const;

  const std::string& where() const { return where_; }

 private:
  const Json& object_;
  std::string where_;
  std::set<std::string, std::less<>> known_;
};

}  // namespace twofold
