#include "text/decoder.h"
#include "text/replace.h"

namespace twofold {

namespace {

class ReplaceDecoder : public TextDecoder {
 public:
  ReplaceDecoder(std::unique_ptr<TextPattern> pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}

  void decode(std::vector<std::string>& tokens) const override {
    for (std::string& token : tokens) replace_all(token, *pattern_, content_);
  }

  void decode_piece(std::string& token, bool& /*fused*/) const override {
    replace_all(token, *pattern_, content_);
  }

  double growth() const override { return replace_growth(*pattern_, content_); }

 private:
  std::unique_ptr<TextPattern> pattern_;
  std::string content_;
};

}  // namespace

std::unique_ptr<TextDecoder> parse_replace_decoder(const Json& json, const std::string& where) {
  return std::make_unique<ReplaceDecoder>(parse_text_pattern(json, "pattern", where),
                                          json_string(json, "content", where));
}

}  // namespace twofold
