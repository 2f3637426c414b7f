#include "text/byte_level.h"
#include "text/pre_tokenizer.h"
#include "text/split.h"

namespace twofold {

namespace {

/// GPT-2's: words by its expression, bytes written as characters of its alphabet.
class ByteLevelPreTokenizer : public PreTokenizer {
 public:
  ByteLevelPreTokenizer(bool add_prefix_space, bool use_regex, const std::string& where)
      : add_prefix_space_(add_prefix_space),
        expression_(use_regex ? make_regex_pattern(kGpt2Expression, where) : nullptr) {}

  void pre_tokenize(TextPieces& pieces) const override {
    if (add_prefix_space_) prefix_spaces(pieces);
    if (expression_) split_pieces(pieces, *expression_, SplitBehavior::kIsolated, false);
    std::string mapped;
    mapped.reserve(pieces.text.size() + pieces.text.size() / 2);
    std::size_t begin = 0;
    for (std::size_t& end : pieces.ends) {
      mapped += to_byte_level(std::string_view(pieces.text).substr(begin, end - begin));
      begin = end;
      end = mapped.size();
    }
    pieces.text = std::move(mapped);
  }

  /// Each byte takes two at most; spaces make pieces, which are not empty, one byte longer.
  double growth() const override { return add_prefix_space_ ? 4 : 2; }

 private:
  static void prefix_spaces(TextPieces& pieces) {
    std::string text;
    std::size_t begin = 0;
    for (std::size_t& end : pieces.ends) {
      if (pieces.text[begin] != ' ') text += ' ';
      text.append(pieces.text, begin, end - begin);
      begin = end;
      end = text.size();
    }
    pieces.text = std::move(text);
  }

  bool add_prefix_space_;
  std::unique_ptr<TextPattern> expression_;
};

}  // namespace

std::unique_ptr<PreTokenizer> parse_byte_level_pre_tokenizer(const Json& json, const std::string& where) {
  return std::make_unique<ByteLevelPreTokenizer>(json_bool(json, "add_prefix_space", where, true),
                                                 json_bool(json, "use_regex", where, true), where);
}

}  // namespace twofold
