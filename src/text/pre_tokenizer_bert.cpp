#include "text/pre_tokenizer.h"
#include "text/split.h"
#include "text/unicode.h"

namespace twofold {

namespace {

/// White space is dropped, punctuation stands alone.
class BertPreTokenizer : public PreTokenizer {
 public:
  void pre_tokenize(TextPieces& pieces) const override {
    split_pieces(pieces, *space_, SplitBehavior::kRemoved, false);
    split_pieces(pieces, *punctuation_, SplitBehavior::kIsolated, false);
  }
  double growth() const override { return 1; }

 private:
  std::unique_ptr<TextPattern> space_ = make_character_pattern(is_white_space);
  std::unique_ptr<TextPattern> punctuation_ = make_character_pattern(is_punctuation);
};

}  // namespace

std::unique_ptr<PreTokenizer> parse_bert_pre_tokenizer(const Json& /*json*/, const std::string& /*where*/) {
  return std::make_unique<BertPreTokenizer>();
}

}  // namespace twofold
