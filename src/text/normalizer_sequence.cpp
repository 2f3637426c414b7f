#include <nlohmann/json.hpp>
#include <vector>

#include "text/normalizer.h"

namespace twofold {

namespace {

/// Several normalizers, one after the other.
class SequenceNormalizer : public Normalizer {
 public:
  explicit SequenceNormalizer(std::vector<std::unique_ptr<Normalizer>> steps) : steps_(std::move(steps)) {}

  void normalize(std::string& text) const override {
    for (const auto& step : steps_) step->normalize(text);
  }
  double growth() const override {
    double product = 1;
    for (const auto& step : steps_) product *= step->growth();
    return product;
  }

 private:
  std::vector<std::unique_ptr<Normalizer>> steps_;
};

}  // namespace

std::unique_ptr<Normalizer> parse_sequence_normalizer(const Json& json, const std::string& where) {
  std::vector<std::unique_ptr<Normalizer>> steps;
  for (const Json& step : json_array(json, "normalizers", where)) {
    steps.push_back(parse_normalizer(step, join_path(where, "normalizers", steps.size())));
  }
  return std::make_unique<SequenceNormalizer>(std::move(steps));
}

}  // namespace twofold
