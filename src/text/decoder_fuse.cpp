#include "text/decoder.h"

namespace twofold {

namespace {

/// Joins all tokens, so that the steps behind it see the whole text.
class FuseDecoder : public TextDecoder {
 public:
  void decode(std::vector<std::string>& tokens) const override {
    std::string text;
    for (const std::string& token : tokens) text += token;
    tokens.clear();
    tokens.push_back(std::move(text));
  }

  void decode_piece(std::string& /*token*/, bool& fused) const override { fused = true; }

  double growth() const override { return 1; }
};

}  // namespace

std::unique_ptr<TextDecoder> parse_fuse_decoder(const Json& /*json*/, const std::string& /*where*/) {
  return std::make_unique<FuseDecoder>();
}

}  // namespace twofold
