#include <algorithm>

#include "text/decoder.h"
#include "text/replace.h"

namespace twofold {

namespace {

/// The suffix that marks the end of a word becomes a space, or nothing in the last token.
class BpeDecoder : public TextDecoder {
 public:
  explicit BpeDecoder(std::string suffix) : suffix_(std::move(suffix)) {}

  void decode(std::vector<std::string>& tokens) const override {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      replace_all(tokens[i], suffix_, i + 1 == tokens.size() ? "" : " ");
    }
  }

  void decode_piece(std::string& token, bool& /*fused*/) const override { replace_all(token, suffix_, " "); }

  double growth() const override { return 1; }

 private:
  std::string suffix_;
};

}  // namespace

std::unique_ptr<TextDecoder> parse_bpe_decoder(const Json& json, const std::string& where) {
  std::string suffix = json_string(json, "suffix", where, "</w>");
  if (suffix.empty()) fail("{}: \"suffix\": expected a text to look for, found an empty string", where);
  return std::make_unique<BpeDecoder>(std::move(suffix));
}

}  // namespace twofold
