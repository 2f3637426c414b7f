// The normalizers that look at one character at a time.
#include <utf8proc.h>

#include "text/normalizer.h"
#include "text/unicode.h"

namespace twofold {

namespace {

class LowercaseNormalizer : public Normalizer {
 public:
  void normalize(std::string& text) const override {
    std::string result;
    result.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
      const char32_t character = next_code_point(text, at);
      if (character == 0x130) {  // the only one that becomes two (Unicode's SpecialCasing.txt)
        result += "i\xcc\x87";
      } else {
        append_utf8(static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(character))),
                    result);
      }
    }
    text = std::move(result);
  }
  double growth() const override { return 1.5; }
};

class StripAccentsNormalizer : public Normalizer {
 public:
  void normalize(std::string& text) const override {
    std::string result;
    result.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t begin = at;
      if (!is_mark(next_code_point(text, at))) result.append(text, begin, at - begin);
    }
    text = std::move(result);
  }
  double growth() const override { return 1; }
};

/// What SentencePiece does to text for machine translation: control characters go, white space is a space.
class NmtNormalizer : public Normalizer {
 public:
  void normalize(std::string& text) const override {
    std::string result;
    result.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t begin = at;
      const char32_t c = next_code_point(text, at);
      if ((c >= 0x01 && c <= 0x08) || c == 0x0b || (c >= 0x0e && c <= 0x1f) || c == 0x7f || c == 0x8f ||
          c == 0x9f) {
        continue;
      }
      const bool space = c == 0x09 || c == 0x0a || c == 0x0c || c == 0x0d || c == 0x1680 ||
                         (c >= 0x200b && c <= 0x200f) || c == 0x2028 || c == 0x2029 || c == 0x2581 ||
                         c == 0xfeff || c == 0xfffd;
      if (space) {
        result += ' ';
      } else {
        result.append(text, begin, at - begin);
      }
    }
    text = std::move(result);
  }
  double growth() const override { return 1; }
};

class StripNormalizer : public Normalizer {
 public:
  StripNormalizer(bool left, bool right) : left_(left), right_(right) {}

  void normalize(std::string& text) const override {
    std::size_t end = text.size();
    while (right_ && end > 0) {
      const std::size_t begin = previous_code_point(text, end);
      std::size_t at = begin;
      if (!is_white_space(next_code_point(text, at))) break;
      end = begin;
    }
    text.resize(end);
    std::size_t begin = 0;
    while (left_ && begin < text.size()) {
      std::size_t at = begin;
      if (!is_white_space(next_code_point(text, at))) break;
      begin = at;
    }
    text.erase(0, begin);
  }
  double growth() const override { return 1; }

 private:
  bool left_;
  bool right_;
};

}  // namespace

std::unique_ptr<Normalizer> parse_lowercase_normalizer(const Json& /*json*/, const std::string& /*where*/) {
  return std::make_unique<LowercaseNormalizer>();
}

std::unique_ptr<Normalizer> parse_strip_accents_normalizer(const Json& /*json*/,
                                                           const std::string& /*where*/) {
  return std::make_unique<StripAccentsNormalizer>();
}

std::unique_ptr<Normalizer> parse_nmt_normalizer(const Json& /*json*/, const std::string& /*where*/) {
  return std::make_unique<NmtNormalizer>();
}

std::unique_ptr<Normalizer> parse_strip_normalizer(const Json& json, const std::string& where) {
  return std::make_unique<StripNormalizer>(json_bool(json, "strip_left", where, true),
                                           json_bool(json, "strip_right", where, true));
}

}  // namespace twofold
