#include "text/byte_level.h"
#include "text/decoder.h"
#include "text/unicode.h"

namespace twofold {

namespace {

/// Characters of GPT-2's alphabet become the bytes they stand for. A token with another character in it, such
/// as an added one, stays as it is.
class ByteLevelDecoder : public TextDecoder {
 public:
  void decode(std::vector<std::string>& tokens) const override {
    std::string bytes;
    for (const std::string& token : tokens) {
      const auto decoded = from_byte_level(token);
      bytes += decoded ? *decoded : token;
    }
    tokens.clear();
    tokens.push_back(replace_invalid_utf8(bytes));
  }

  void decode_piece(std::string& token, bool& fused) const override {
    fused = true;
    if (auto decoded = from_byte_level(token)) token = std::move(*decoded);
  }

  double growth() const override { return 3; }  // U+FFFD for a byte
};

}  // namespace

std::unique_ptr<TextDecoder> parse_byte_level_decoder(const Json& /*json*/, const std::string& /*where*/) {
  return std::make_unique<ByteLevelDecoder>();
}

}  // namespace twofold
