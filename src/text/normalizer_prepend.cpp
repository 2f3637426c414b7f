#include "text/normalizer.h"

namespace twofold {

namespace {

/// Puts a text in front; empty text stays empty.
class PrependNormalizer : public Normalizer {
 public:
  explicit PrependNormalizer(std::string prefix) : prefix_(std::move(prefix)) {}

  void normalize(std::string& text) const override {
    if (!text.empty()) text.insert(0, prefix_);
  }
  double growth() const override { return 1.0 + static_cast<double>(prefix_.size()); }

 private:
  std::string prefix_;
};

}  // namespace

std::unique_ptr<Normalizer> parse_prepend_normalizer(const Json& json, const std::string& where) {
  return std::make_unique<PrependNormalizer>(json_string(json, "prepend", where));
}

}  // namespace twofold
