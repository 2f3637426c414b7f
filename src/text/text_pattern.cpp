#include "text/text_pattern.h"

#include <nlohmann/json.hpp>

#include "text/component.h"
#include "text/regex.h"
#include "text/unicode.h"

namespace twofold {

namespace {

class StringPattern : public TextPattern {
 public:
  explicit StringPattern(std::string text) : text_(std::move(text)) {}

  void for_each(std::string_view text, const Visit& visit) const override {
    std::size_t from = 0;
    for (std::size_t at = text.find(text_); at != std::string_view::npos; at = text.find(text_, from)) {
      from = at + text_.size();
      visit(at, from);
    }
  }
  std::size_t min_bytes() const override { return text_.size(); }

 private:
  std::string text_;
};

class RegexPattern : public TextPattern {
 public:
  RegexPattern(std::string_view expression, const std::string& where) : regex_(expression, where) {}

  void for_each(std::string_view text, const Visit& visit) const override { regex_.for_each(text, visit); }
  std::size_t min_bytes() const override { return regex_.min_bytes(); }

 private:
  Regex regex_;
};

class CharacterPattern : public TextPattern {
 public:
  explicit CharacterPattern(bool (*matches)(char32_t)) : matches_(matches) {}

  void for_each(std::string_view text, const Visit& visit) const override {
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t begin = at;
      if (matches_(next_code_point(text, at))) visit(begin, at);
    }
  }
  std::size_t min_bytes() const override { return 1; }

 private:
  bool (*matches_)(char32_t);
};

}  // namespace

std::unique_ptr<TextPattern> make_string_pattern(std::string text) {
  return std::make_unique<StringPattern>(std::move(text));
}

std::unique_ptr<TextPattern> make_regex_pattern(std::string_view expression, const std::string& where) {
  return std::make_unique<RegexPattern>(expression, where);
}

std::unique_ptr<TextPattern> make_character_pattern(bool (*matches)(char32_t)) {
  return std::make_unique<CharacterPattern>(matches);
}

std::unique_ptr<TextPattern> parse_text_pattern(const Json& object, std::string_view key,
                                                const std::string& where) {
  const Json& pattern = json_object(object, key, where);
  const std::string path = join_path(where, key);
  if (pattern.size() == 1 && pattern.contains("Regex")) {
    return make_regex_pattern(json_string(pattern, "Regex", path), path);
  }
  if (pattern.size() != 1 || !pattern.contains("String")) {
    const std::string found = pattern.empty() ? "{}" : quote(pattern.begin().key());
    fail("{}: unknown kind of pattern {}; known kinds: String, Regex", path, found);
  }
  std::string text = json_string(pattern, "String", path);
  if (text.empty()) fail("{}: \"String\": expected a text to look for, found an empty string", path);
  return make_string_pattern(std::move(text));
}

}  // namespace twofold
