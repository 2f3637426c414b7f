#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

// PCRE2's own names, so that its header stays out of this one.
struct pcre2_real_code_8;

namespace twofold {

/// A Unicode regular expression over UTF-8, compiled to machine code by PCRE2. Thread-safe.
class Regex {
 public:
  /// `expression` has Oniguruma's Ruby syntax. Throws Error, with `where`, for what PCRE2 refuses.
  Regex(std::string_view expression, const std::string& where);

  /// Calls `visit` with begin and end of each match in `text` (valid UTF-8), from left to right; an empty
  /// match directly behind another is left out. Throws Error when the text takes too many steps.
  void for_each(std::string_view text,
                const std::function<void(std::size_t begin, std::size_t end)>& visit) const;

  /// The fewest bytes that a match has, as far as PCRE2 knows it.
  std::size_t min_bytes() const { return min_bytes_; }

 private:
  struct Free {
    void operator()(pcre2_real_code_8* code) const;
  };
  std::unique_ptr<pcre2_real_code_8, Free> code_;
  std::string where_;
  std::string expression_;
  std::size_t min_bytes_ = 0;
};

/// The expression in PCRE2's syntax. `where` names it in errors.
std::string pcre2_syntax(std::string_view expression, const std::string& where);

}  // namespace twofold
