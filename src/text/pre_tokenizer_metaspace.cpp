#include "text/metaspace.h"
#include "text/pre_tokenizer.h"
#include "text/replace.h"

namespace twofold {

namespace {

/// Spaces become a visible character, one may be put in front, and pieces may end before each.
class MetaspacePreTokenizer : public PreTokenizer {
 public:
  explicit MetaspacePreTokenizer(Metaspace options) : options_(std::move(options)) {}

  void pre_tokenize(std::string& text, bool at_start, std::vector<std::size_t>& ends) const override {
    const std::string& space = options_.replacement;
    replace_all(text, " ", space);
    const bool wanted =
        options_.scheme == PrependScheme::kAlways || (options_.scheme == PrependScheme::kFirst && at_start);
    if (wanted && !text.starts_with(space)) text.insert(0, space);
    if (options_.split) {
      for (std::size_t at = text.find(space, 1); at != std::string::npos; at = text.find(space, at + 1)) {
        ends.push_back(at);
      }
    }
    ends.push_back(text.size());
  }

 private:
  Metaspace options_;
};

}  // namespace

std::unique_ptr<PreTokenizer> parse_metaspace_pre_tokenizer(const Json& json, const std::string& where) {
  return std::make_unique<MetaspacePreTokenizer>(parse_metaspace(json, where));
}

}  // namespace twofold
