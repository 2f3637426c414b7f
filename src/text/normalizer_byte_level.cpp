#include "text/byte_level.h"
#include "text/normalizer.h"

namespace twofold {

namespace {

/// Bytes written as characters of GPT-2's alphabet.
class ByteLevelNormalizer : public Normalizer {
 public:
  void normalize(std::string& text) const override { text = to_byte_level(text); }
  double growth() const override { return 2; }
};

}  // namespace

std::unique_ptr<Normalizer> parse_byte_level_normalizer(const Json& /*json*/, const std::string& /*where*/) {
  return std::make_unique<ByteLevelNormalizer>();
}

}  // namespace twofold
