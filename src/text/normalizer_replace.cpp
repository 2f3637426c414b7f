#include "text/normalizer.h"
#include "text/replace.h"

namespace twofold {

namespace {

class ReplaceNormalizer : public Normalizer {
 public:
  ReplaceNormalizer(std::unique_ptr<TextPattern> pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}

  void normalize(std::string& text) const override { replace_all(text, *pattern_, content_); }
  double growth() const override { return replace_growth(*pattern_, content_); }

 private:
  std::unique_ptr<TextPattern> pattern_;
  std::string content_;
};

}  // namespace

std::unique_ptr<Normalizer> parse_replace_normalizer(const Json& json, const std::string& where) {
  return std::make_unique<ReplaceNormalizer>(parse_text_pattern(json, "pattern", where),
                                             json_string(json, "content", where));
}

}  // namespace twofold
