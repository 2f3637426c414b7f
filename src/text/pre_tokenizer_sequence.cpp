#include <nlohmann/json.hpp>

#include "text/pre_tokenizer.h"

namespace twofold {

namespace {

/// Several pre-tokenizers, one after the other.
class SequencePreTokenizer : public PreTokenizer {
 public:
  explicit SequencePreTokenizer(std::vector<std::unique_ptr<PreTokenizer>> steps)
      : steps_(std::move(steps)) {}

  void pre_tokenize(TextPieces& pieces) const override {
    for (const auto& step : steps_) step->pre_tokenize(pieces);
  }
  double growth() const override {
    double product = 1;
    for (const auto& step : steps_) product *= step->growth();
    return product;
  }

 private:
  std::vector<std::unique_ptr<PreTokenizer>> steps_;
};

}  // namespace

std::unique_ptr<PreTokenizer> parse_sequence_pre_tokenizer(const Json& json, const std::string& where) {
  std::vector<std::unique_ptr<PreTokenizer>> steps;
  for (const Json& step : json_array(json, "pretokenizers", where)) {
    steps.push_back(parse_pre_tokenizer(step, join_path(where, "pretokenizers", steps.size())));
  }
  return std::make_unique<SequencePreTokenizer>(std::move(steps));
}

}  // namespace twofold
