#include <cstdint>

#include "text/byte_token.h"
#include "text/decoder.h"
#include "text/unicode.h"

namespace twofold {

namespace {

/// Tokens like <0x0A> become bytes. A run of them that is not UTF-8 becomes one U+FFFD per byte.
class ByteFallbackDecoder : public TextDecoder {
 public:
  void decode(std::vector<std::string>& tokens) const override {
    std::vector<std::string> result;
    result.reserve(tokens.size());
    std::string run;
    const auto flush = [&] {
      if (run.empty()) return;
      if (is_valid_utf8(run)) {
        result.push_back(std::move(run));
      } else {
        result.insert(result.end(), run.size(), "\xef\xbf\xbd");
      }
      run.clear();
    };
    for (std::string& token : tokens) {
      if (const auto byte = parse_byte_token(token)) {
        run += static_cast<char>(*byte);
      } else {
        flush();
        result.push_back(std::move(token));
      }
    }
    flush();
    tokens = std::move(result);
  }

  void decode_piece(std::string& token, bool& /*fused*/) const override {
    if (const auto byte = parse_byte_token(token)) token.assign(1, static_cast<char>(*byte));
  }

  double growth() const override { return 1; }
};

}  // namespace

std::unique_ptr<TextDecoder> parse_byte_fallback_decoder(const Json& /*json*/, const std::string& /*where*/) {
  return std::make_unique<ByteFallbackDecoder>();
}

}  // namespace twofold
