#include <utf8proc.h>

#include "text/base64.h"
#include "text/charsmap.h"
#include "text/normalizer.h"
#include "text/unicode.h"

namespace twofold {

namespace {

/// SentencePiece's rules as the reference applies them: to a whole short grapheme cluster (UAX 29) where it
/// begins with a rule, else to its characters one by one.
class PrecompiledNormalizer : public Normalizer {
 public:
  explicit PrecompiledNormalizer(Charsmap charsmap) : charsmap_(std::move(charsmap)) {}

  void normalize(std::string& text) const override {
    std::string result;
    result.reserve(text.size() + text.size() / 8);
    const std::string_view all = text;
    for (std::size_t at = 0; at < all.size();) {
      const std::size_t end = cluster_end(all, at);
      append(all.substr(at, end - at), result);
      at = end;
    }
    text = std::move(result);
  }

  double growth() const override {
    return std::max(1.0, static_cast<double>(charsmap_.longest_replacement()));
  }

 private:
  static std::size_t cluster_end(std::string_view text, std::size_t at) {
    utf8proc_int32_t state = 0;
    auto before = static_cast<utf8proc_int32_t>(next_code_point(text, at));
    while (at < text.size()) {
      std::size_t behind = at;
      const auto character = static_cast<utf8proc_int32_t>(next_code_point(text, behind));
      if (utf8proc_grapheme_break_stateful(before, character, &state)) break;
      before = character;
      at = behind;
    }
    return at;
  }

  void append(std::string_view cluster, std::string& out) const {
    constexpr std::size_t kShort = 6;  // bytes
    if (cluster.size() < kShort) {
      if (const auto match = charsmap_.shortest(cluster)) {
        out += match->replacement;
        return;
      }
    }
    for (std::size_t at = 0; at < cluster.size();) {
      const std::size_t begin = at;
      next_code_point(cluster, at);
      const std::string_view character = cluster.substr(begin, at - begin);
      const auto match = charsmap_.shortest(character);
      out += match ? match->replacement : character;
    }
  }

  Charsmap charsmap_;
};

}  // namespace

std::unique_ptr<Normalizer> parse_precompiled_normalizer(const Json& json, const std::string& where) {
  const auto bytes = decode_base64(json_string(json, "precompiled_charsmap", where));
  if (!bytes) fail("{}: \"precompiled_charsmap\": expected base64", where);
  return std::make_unique<PrecompiledNormalizer>(Charsmap(*bytes, join_path(where, "precompiled_charsmap")));
}

}  // namespace twofold
