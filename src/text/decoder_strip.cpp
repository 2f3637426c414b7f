#include <cstdint>

#include "text/decoder.h"

namespace twofold {

namespace {

/// Takes up to `start` copies of a character off the front of each string and up to `stop` off its end.
class StripDecoder : public TextDecoder {
 public:
  StripDecoder(std::string character, std::int64_t start, std::int64_t stop)
      : character_(std::move(character)), start_(start), stop_(stop) {}

  void decode(std::vector<std::string>& tokens) const override {
    for (std::string& token : tokens) strip(token);
  }

  void decode_piece(std::string& token, bool& fused) const override {
    if (!fused) strip(token);
  }

  double growth() const override { return 1; }

 private:
  void strip(std::string& token) const {
    std::size_t begin = 0;
    for (std::int64_t i = 0; i < start_ && token.compare(begin, character_.size(), character_) == 0; ++i) {
      begin += character_.size();
    }
    token.erase(0, begin);
    std::size_t end = token.size();
    for (std::int64_t i = 0; i < stop_ && std::string_view(token).substr(0, end).ends_with(character_); ++i) {
      end -= character_.size();
    }
    token.resize(end);
  }

  std::string character_;
  std::int64_t start_;
  std::int64_t stop_;
};

}  // namespace

std::unique_ptr<TextDecoder> parse_strip_decoder(const Json& json, const std::string& where) {
  return std::make_unique<StripDecoder>(json_character(json, "content", where),
                                        json_int(json, "start", where, 0, INT32_MAX),
                                        json_int(json, "stop", where, 0, INT32_MAX));
}

}  // namespace twofold
