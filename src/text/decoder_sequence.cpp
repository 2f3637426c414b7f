#include <nlohmann/json.hpp>

#include "text/decoder.h"

namespace twofold {

namespace {

/// Several decoders, one after the other.
class SequenceDecoder : public TextDecoder {
 public:
  explicit SequenceDecoder(std::vector<std::unique_ptr<TextDecoder>> steps) : steps_(std::move(steps)) {}

  void decode(std::vector<std::string>& tokens) const override {
    for (const auto& step : steps_) step->decode(tokens);
  }

  void decode_piece(std::string& token, bool& fused) const override {
    for (const auto& step : steps_) step->decode_piece(token, fused);
  }

  double growth() const override {
    double product = 1;
    for (const auto& step : steps_) product *= step->growth();
    return product;
  }

 private:
  std::vector<std::unique_ptr<TextDecoder>> steps_;
};

}  // namespace

std::unique_ptr<TextDecoder> parse_sequence_decoder(const Json& json, const std::string& where) {
  std::vector<std::unique_ptr<TextDecoder>> steps;
  for (const Json& step : json_array(json, "decoders", where)) {
    steps.push_back(parse_decoder(step, join_path(where, "decoders", steps.size())));
  }
  return std::make_unique<SequenceDecoder>(std::move(steps));
}

}  // namespace twofold
