#include "text/decoder.h"
#include "text/metaspace.h"
#include "text/replace.h"

namespace twofold {

namespace {

/// The character that stands for a space becomes one, or nothing in the first token where encoding may have
/// put it there.
class MetaspaceDecoder : public TextDecoder {
 public:
  explicit MetaspaceDecoder(Metaspace options) : options_(std::move(options)) {}

  void decode(std::vector<std::string>& tokens) const override {
    bool drop = options_.scheme != PrependScheme::kNever;
    for (std::string& token : tokens) {
      replace_all(token, options_.replacement, drop ? "" : " ");
      drop = false;
    }
  }

  void decode_piece(std::string& token, bool& /*fused*/) const override {
    replace_all(token, options_.replacement, " ");
  }

  double growth() const override { return 1; }

 private:
  Metaspace options_;
};

}  // namespace

std::unique_ptr<TextDecoder> parse_metaspace_decoder(const Json& json, const std::string& where) {
  return std::make_unique<MetaspaceDecoder>(parse_metaspace(json, where));
}

}  // namespace twofold
