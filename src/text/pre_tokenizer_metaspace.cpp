#include "text/metaspace.h"
#include "text/pre_tokenizer.h"
#include "text/replace.h"

namespace twofold {

namespace {

/// Spaces become a visible character, one may be put in front, and pieces may end before each.
class MetaspacePreTokenizer : public PreTokenizer {
 public:
  explicit MetaspacePreTokenizer(Metaspace options) : options_(std::move(options)) {}

  void pre_tokenize(TextPieces& pieces) const override {
    const std::string& space = options_.replacement;
    std::string text;
    text.reserve(pieces.text.size() + pieces.text.size() / 2);
    std::vector<std::size_t> ends;
    std::size_t begin = 0;
    std::string piece;
    for (const std::size_t end : pieces.ends) {
      piece.assign(pieces.text, begin, end - begin);
      const bool wanted = options_.scheme == PrependScheme::kAlways ||
                          (options_.scheme == PrependScheme::kFirst && pieces.at_start && begin == 0);
      replace_all(piece, " ", space);
      if (wanted && !piece.starts_with(space)) text += space;
      const std::size_t done = ends.empty() ? 0 : ends.back();
      const std::size_t piece_begin = text.size();
      text += piece;
      if (options_.split) {
        for (std::size_t at = text.find(space, piece_begin); at != std::string::npos;
             at = text.find(space, at + space.size())) {
          if (at > done) ends.push_back(at);
        }
      }
      ends.push_back(text.size());
      begin = end;
    }
    pieces.text = std::move(text);
    pieces.ends = std::move(ends);
  }

  /// A space of one byte may become a character of four; another such character makes pieces longer.
  double growth() const override { return 8; }

 private:
  Metaspace options_;
};

}  // namespace

std::unique_ptr<PreTokenizer> parse_metaspace_pre_tokenizer(const Json& json, const std::string& where) {
  return std::make_unique<MetaspacePreTokenizer>(parse_metaspace(json, where));
}

}  // namespace twofold
