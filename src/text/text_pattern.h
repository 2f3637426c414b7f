#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/json.h"

namespace twofold {

/// Finds places in text: what the "pattern" of a stage says. Thread-safe.
class TextPattern {
 public:
  virtual ~TextPattern() = default;

  using Visit = std::function<void(std::size_t begin, std::size_t end)>;

  /// Calls `visit` for each match in `text` (valid UTF-8), from left to right, not overlapping. Throws Error
  /// when a regular expression needs too many steps.
  virtual void for_each(std::string_view text, const Visit& visit) const = 0;

  /// The fewest bytes a match may have; 0 where that is not known.
  virtual std::size_t min_bytes() const = 0;
};

/// A text to look for; not empty.
std::unique_ptr<TextPattern> make_string_pattern(std::string text);

/// A regular expression of Oniguruma's Ruby syntax, which the reference uses. `where` names it in errors.
std::unique_ptr<TextPattern> make_regex_pattern(std::string_view expression, const std::string& where);

/// Single characters that `matches` is true for.
std::unique_ptr<TextPattern> make_character_pattern(bool (*matches)(char32_t));

/// Parses {"String": "..."} or {"Regex": "..."} under `key`.
std::unique_ptr<TextPattern> parse_text_pattern(const Json& object, std::string_view key,
                                                const std::string& where);

}  // namespace twofold
