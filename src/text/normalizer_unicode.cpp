#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "text/normalizer.h"
#include "text/unicode.h"

namespace twofold {

namespace {

/// One of the four normal forms (Unicode 15, section 3.11).
class UnicodeNormalizer : public Normalizer {
 public:
  /// `first_changed`: characters below it are in the form already, alone and before each other.
  UnicodeNormalizer(int options, char32_t first_changed, double growth)
      : options_(options), first_changed_(first_changed), growth_(growth) {}

  void normalize(std::string& text) const override {
    // A character that is in the form whatever stands before it ends what the one before it can act on, so
    // only runs with others in them are looked at, from the character before such a run. ASCII and the
    // letters below `first_changed_` are of that kind: starters that no composition has on its right.
    std::string result;
    std::size_t copied = 0;
    std::size_t previous = 0;
    std::vector<utf8proc_int32_t> run;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t begin = at;
      if (next_code_point(text, at) < first_changed_) {
        previous = begin;
        continue;
      }
      std::size_t end = at;
      while (end < text.size()) {
        std::size_t behind = end;
        if (next_code_point(text, behind) < first_changed_) break;
        end = behind;
      }
      const std::size_t run_begin = begin == 0 ? 0 : std::max(previous, copied);
      if (result.empty()) result.reserve(text.size() + text.size() / 8);
      result.append(text, copied, run_begin - copied);
      append_normalized(std::string_view(text).substr(run_begin, end - run_begin), run, result);
      at = copied = previous = end;
    }
    if (copied == 0) return;
    result.append(text, copied);
    text = std::move(result);
  }

  double growth() const override { return growth_; }

 private:
  void append_normalized(std::string_view text, std::vector<utf8proc_int32_t>& run, std::string& out) const {
    const auto options = static_cast<utf8proc_option_t>(options_);
    run.clear();
    for (std::size_t at = 0; at < text.size();) {
      std::array<utf8proc_int32_t, 32> parts;
      const auto character = static_cast<utf8proc_int32_t>(next_code_point(text, at));
      const auto count = utf8proc_decompose_char(character, parts.data(), parts.size(), options, nullptr);
      if (count < 0 || count > static_cast<utf8proc_ssize_t>(parts.size())) {
        fail("character U+{:04X} cannot be normalized: {}", character, utf8proc_errmsg(count));
      }
      run.insert(run.end(), parts.begin(), parts.begin() + count);
    }
    sort_marks(run);
    auto count = static_cast<utf8proc_ssize_t>(run.size());
    if ((options_ & UTF8PROC_COMPOSE) != 0) count = utf8proc_normalize_utf32(run.data(), count, options);
    for (utf8proc_ssize_t i = 0; i < count; ++i) {
      append_utf8(static_cast<char32_t>(run[static_cast<std::size_t>(i)]), out);
    }
  }

  /// Canonical order (Unicode 15, D109). utf8proc's own sort takes quadratic time for a long run.
  static void sort_marks(std::vector<utf8proc_int32_t>& run) {
    const auto combining_class = [](utf8proc_int32_t character) {
      return utf8proc_get_property(character)->combining_class;
    };
    const auto is_starter = [&](utf8proc_int32_t character) { return combining_class(character) == 0; };
    for (auto begin = run.begin(); begin != run.end();) {
      begin = std::find_if_not(begin, run.end(), is_starter);
      const auto end = std::find_if(begin, run.end(), is_starter);
      std::ranges::stable_sort(begin, end, {}, combining_class);
      begin = end;
    }
  }

  int options_;
  char32_t first_changed_;
  double growth_;
};

// The growths are those of UAX 15, "Maximum Expansion Factors", for UTF-8. The first characters with a
// canonical composition, a canonical decomposition, a compatibility decomposition: U+0300, U+00C0, U+00A0.
std::unique_ptr<Normalizer> make(int options, char32_t first_changed, double growth) {
  return std::make_unique<UnicodeNormalizer>(options | UTF8PROC_STABLE, first_changed, growth);
}

}  // namespace

std::unique_ptr<Normalizer> parse_nfc_normalizer(const Json& /*json*/, const std::string& /*where*/) {
  return make(UTF8PROC_COMPOSE, 0x300, 3);
}

std::unique_ptr<Normalizer> parse_nfd_normalizer(const Json& /*json*/, const std::string& /*where*/) {
  return make(UTF8PROC_DECOMPOSE, 0xc0, 3);
}

std::unique_ptr<Normalizer> parse_nfkc_normalizer(const Json& /*json*/, const std::string& /*where*/) {
  return make(UTF8PROC_COMPOSE | UTF8PROC_COMPAT, 0xa0, 11);
}

std::unique_ptr<Normalizer> parse_nfkd_normalizer(const Json& /*json*/, const std::string& /*where*/) {
  return make(UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT, 0xa0, 11);
}

}  // namespace twofold
