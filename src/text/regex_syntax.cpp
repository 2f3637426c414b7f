// Where Oniguruma's Ruby syntax (its doc/RE and doc/SYNTAX.md) and PCRE2's (pcre2pattern, pcre2syntax) mean
// different things by the same signs.
#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/core.h>
#include <pcre2.h>

#include <algorithm>
#include <optional>

#include "text/component.h"
#include "text/regex.h"
#include "text/unicode.h"

namespace twofold {

namespace {

// UTS 18, annex C; PCRE2's own \s has U+180E too, and its \w leaves marks out. Outside of classes
// Oniguruma's \w has the superscripts and fractions of Latin-1 besides.
constexpr std::string_view kSpace = "\\t-\\r\\x{85}\\p{Z}";
constexpr std::string_view kWord = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}";
constexpr std::string_view kWordLatin1 = "\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}";
constexpr std::string_view kHexDigit = "0-9A-Fa-f";

struct Alias {
  std::string_view name;  // lower case, without - _ and space
  std::string_view set;
};
constexpr Alias kProperties[] = {
    {"letter", "\\p{L}"},
    {"uppercaseletter", "\\p{Lu}"},
    {"lowercaseletter", "\\p{Ll}"},
    {"titlecaseletter", "\\p{Lt}"},
    {"casedletter", "\\p{L&}"},
    {"modifierletter", "\\p{Lm}"},
    {"otherletter", "\\p{Lo}"},
    {"mark", "\\p{M}"},
    {"combiningmark", "\\p{M}"},
    {"nonspacingmark", "\\p{Mn}"},
    {"spacingmark", "\\p{Mc}"},
    {"enclosingmark", "\\p{Me}"},
    {"number", "\\p{N}"},
    {"decimalnumber", "\\p{Nd}"},
    {"digit", "\\p{Nd}"},
    {"letternumber", "\\p{Nl}"},
    {"othernumber", "\\p{No}"},
    {"punctuation", "\\p{P}"},
    {"connectorpunctuation", "\\p{Pc}"},
    {"dashpunctuation", "\\p{Pd}"},
    {"openpunctuation", "\\p{Ps}"},
    {"closepunctuation", "\\p{Pe}"},
    {"initialpunctuation", "\\p{Pi}"},
    {"finalpunctuation", "\\p{Pf}"},
    {"otherpunctuation", "\\p{Po}"},
    {"symbol", "\\p{S}"},
    {"mathsymbol", "\\p{Sm}"},
    {"currencysymbol", "\\p{Sc}"},
    {"modifiersymbol", "\\p{Sk}"},
    {"othersymbol", "\\p{So}"},
    {"separator", "\\p{Z}"},
    {"spaceseparator", "\\p{Zs}"},
    {"lineseparator", "\\p{Zl}"},
    {"paragraphseparator", "\\p{Zp}"},
    {"other", "\\p{C}"},
    {"control", "\\p{Cc}"},
    {"format", "\\p{Cf}"},
    {"surrogate", "\\p{Cs}"},
    {"privateuse", "\\p{Co}"},
    {"unassigned", "\\p{Cn}"},
    {"alpha", "\\p{Alphabetic}"},
    {"alnum", "\\p{Alphabetic}\\p{Nd}"},
    {"lower", "\\p{Lowercase}"},
    {"upper", "\\p{Uppercase}"},
    {"punct", "\\p{P}$+<=>^`|~"},
    {"cntrl", "\\p{Cc}"},
    {"xdigit", kHexDigit},
    {"space", kSpace},
    {"whitespace", kSpace},
    {"word", kWord},
};

bool compiles(const std::string& pattern) {
  int error = 0;
  PCRE2_SIZE at = 0;
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                   PCRE2_UTF | PCRE2_UCP, &error, &at, nullptr);
  pcre2_code_free(code);
  return code != nullptr;
}

class Translator {
 public:
  Translator(std::string_view expression, const std::string& where) : in_(expression), where_(where) {}

  std::string run() {
    while (at_ < in_.size()) step();
    return std::move(out_);
  }

 private:
  [[noreturn]] void refuse(std::string_view what) const {
    fail("{}: regular expression {}: {}", where_, quote(in_), what);
  }

  bool next_is(std::string_view text) const { return in_.substr(at_).starts_with(text); }

  std::string_view take_character() {
    const std::size_t begin = at_;
    next_code_point(in_, at_);
    return in_.substr(begin, at_ - begin);
  }

  void step() {
    const char c = in_[at_];
    if (c == '\\') {
      atom_ = out_.size();
      escape_outside();
    } else if (c == '[') {
      atom_ = out_.size();
      out_ += character_class(0);
    } else if (c == '{') {
      interval();
    } else if (c == '(') {
      groups_.push_back(out_.size());
      group_start();
    } else if (c == ')') {
      if (!groups_.empty()) {
        atom_ = groups_.back();
        groups_.pop_back();
      }
      out_ += c;
      ++at_;
    } else if (c == '*' || c == '+' || c == '?') {
      out_ += c;  // what it repeats stays the atom: of a++ that is a
      ++at_;
    } else {
      atom_ = out_.size();
      out_ += take_character();
    }
  }

  /// (?m) is Ruby's word for "a dot matches a newline", PCRE2's (?s).
  void group_start() {
    out_ += '(';
    ++at_;
    if (!next_is("?")) return;
    std::size_t end = at_ + 1;
    while (end < in_.size() && (in_[end] == 'i' || in_[end] == 'm' || in_[end] == 'x' || in_[end] == '-'))
      ++end;
    if (end == at_ + 1 || end == in_.size() || (in_[end] != ':' && in_[end] != ')')) return;
    std::string flags(in_.substr(at_, end - at_));
    std::ranges::replace(flags, 'm', 's');
    out_ += flags;
    at_ = end;
  }

  /// {n,m}+ is not possessive in Ruby but repeats the repetition; {,m} begins at 0.
  void interval() {
    std::size_t end = at_ + 1;
    while (end < in_.size() && ((in_[end] >= '0' && in_[end] <= '9') || in_[end] == ',')) ++end;
    if (end == in_.size() || in_[end] != '}' || end == at_ + 1) {
      atom_ = out_.size();
      out_ += "\\{";
      ++at_;
      return;
    }
    std::string interval(in_.substr(at_, end + 1 - at_));
    if (interval.starts_with("{,")) interval.insert(1, 1, '0');
    at_ = end + 1;
    out_ += interval;
    if (next_is("+")) {
      out_.insert(atom_, "(?:");
      out_ += ')';
    }
  }

  /// `\p{...}` or `\P{...}` as items of a class; `negated` where it is to stand outside of them.
  std::string property(bool& negated) {
    negated = in_[at_ + 1] == 'P';
    at_ += 2;
    if (!next_is("{")) {
      if (at_ == in_.size()) refuse("\\p without a property");
      return "\\p{" + std::string(take_character()) + "}";
    }
    const std::size_t end = in_.find('}', at_);
    if (end == std::string_view::npos) refuse("\\p{ without a }");
    std::string_view name = in_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    if (name.starts_with('^')) {
      negated = !negated;
      name.remove_prefix(1);
    }
    std::string plain;
    for (const char c : name) {
      if (c != '_' && c != '-' && c != ' ') plain += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    for (const Alias& alias : kProperties) {
      if (alias.name == plain) return std::string(alias.set);
    }
    // PCRE2 takes the name of a script alone for Script_Extensions.
    const std::string script = fmt::format("\\p{{sc:{}}}", name);
    return name.size() > 2 && compiles(script) ? script : fmt::format("\\p{{{}}}", name);
  }

  /// The set that [:name:] stands for, as items of a class.
  static std::string posix_set(std::string_view name, bool& complement) {
    complement = name.starts_with('^');
    if (complement) name.remove_prefix(1);
    if (name == "punct") return "\\p{P}\\p{S}";
    for (const Alias& alias : kProperties) {
      if (alias.name == name) return std::string(alias.set);
    }
    return fmt::format("[:{}:]", name);  // ascii, blank, graph, print
  }

  /// The set that an escape stands for, as items of a class; nothing where it is a single character or an
  /// assertion.
  std::optional<std::string> set_escape(bool& negated) {
    if (at_ + 1 == in_.size()) refuse("ends in \\");
    const char c = in_[at_ + 1];
    negated = c >= 'A' && c <= 'Z';
    if (c == 'p' || c == 'P') return property(negated);
    std::optional<std::string> set;
    if (c == 's' || c == 'S') set = kSpace;
    if (c == 'w' || c == 'W') set = kWord;
    if (c == 'h' || c == 'H') set = kHexDigit;
    if (c == 'd' || c == 'D') set = "\\p{Nd}";
    if (set) at_ += 2;
    return set;
  }

  /// One escaped character, copied; \uHHHH and \u{H} become \x{H}.
  std::string character_escape() {
    at_ += 1;
    if (!next_is("u")) return "\\" + std::string(take_character());
    at_ += 1;
    std::size_t digits = at_;
    std::size_t end = std::min(at_ + 4, in_.size());
    if (next_is("{")) {
      digits = at_ + 1;
      end = in_.find('}', at_);
      if (end == std::string_view::npos) refuse("\\u{ without a }");
    }
    const std::string hex(in_.substr(digits, end - digits));
    if (hex.empty() || hex.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos) {
      refuse("expected hexadecimal digits behind \\u");
    }
    at_ = digits == at_ ? end : end + 1;
    return "\\x{" + hex + "}";
  }

  void escape_outside() {
    bool negated = false;
    if (const auto set = set_escape(negated)) {
      out_ += (negated ? "[^" : "[") + *set;
      if (*set == kWord) out_ += kWordLatin1;
      out_ += ']';
    } else {
      out_ += character_escape();
    }
  }

  /// A class with all that is nested in it. Intersections become look-aheads before a single character.
  std::string character_class(int depth) {
    if (depth > 20) refuse("classes nested deeper than 20");
    at_ += 1;
    const bool negated = next_is("^");
    if (negated) at_ += 1;
    std::string items;
    std::string outside;  // alternatives that are not items: complements of sets
    std::string conditions;
    bool first = true;
    const auto alternatives = [&] {
      if (outside.empty()) return "[" + items + "]";
      return "(?:" + (items.empty() ? "" : "[" + items + "]|") + outside.substr(1) + ")";
    };
    for (;; first = false) {
      if (at_ >= in_.size()) refuse("[ without a ]");
      if (next_is("]") && !first) break;
      if (next_is("&&")) {
        if (items.empty() && outside.empty()) refuse("&& without a set before it");
        conditions += "(?=" + alternatives() + ")";
        items.clear();
        outside.clear();
        at_ += 2;
      } else if (next_is("[:")) {
        const std::size_t end = in_.find(":]", at_ + 2);
        if (end == std::string_view::npos) refuse("[: without a :]");
        bool complement = false;
        const std::string set = posix_set(in_.substr(at_ + 2, end - at_ - 2), complement);
        at_ = end + 2;
        if (complement) {
          outside += "|[^" + set + "]";
        } else {
          items += set;
        }
      } else if (next_is("[")) {
        outside += "|" + character_class(depth + 1);
      } else if (next_is("\\")) {
        bool complement = false;
        if (const auto set = set_escape(complement)) {
          if (!complement) {
            items += *set;
          } else if (set->starts_with("\\p{") && set->find('}') + 1 == set->size()) {
            items += "\\P" + set->substr(2);
          } else {
            outside += "|[^" + *set + "]";
          }
        } else {
          items += character_escape();
        }
      } else {
        if (next_is("]")) items += '\\';
        items += take_character();
      }
    }
    at_ += 1;
    if (items.empty() && outside.empty()) refuse("an empty class");
    if (conditions.empty() && outside.empty()) return (negated ? "[^" : "[") + items + "]";
    const std::string set = conditions + alternatives();
    return negated ? "(?:(?!" + set + ")(?s:.))" : "(?:" + set + ")";
  }

  std::string_view in_;
  const std::string& where_;
  std::size_t at_ = 0;
  std::string out_;
  std::size_t atom_ = 0;  // where the last atom begins in out_
  std::vector<std::size_t> groups_;
};

}  // namespace

std::string pcre2_syntax(std::string_view expression, const std::string& where) {
  return Translator(expression, where).run();
}

}  // namespace twofold
