// The demo's tokenizer.json against SentencePiece on the tokenizer.model beside it.
//
// The two differ only in that special tokens are looked for in text by tokenizer.json alone, and that a cut
// sequence is one U+FFFD there, but one per byte in SentencePiece.
#include <gtest/gtest.h>
#include <sentencepiece_processor.h>

#include "base/random.h"
#include "text/fixture.h"
#include "text/tokenizer.h"

namespace twofold {
namespace {

using Ids = std::vector<TokenId>;

class SentencePiece : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(processor_.Load((demo_directory() / "tokenizer.model").string()).ok());
    tokenizer_ = load_tokenizer(demo_directory());
  }

  Ids reference(const std::string& text) const {
    Ids ids;
    EXPECT_TRUE(processor_.Encode(text, &ids).ok());
    return ids;
  }

  sentencepiece::SentencePieceProcessor processor_;
  std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_F(SentencePiece, HasTheSameVocabulary) {
  ASSERT_EQ(tokenizer_->vocab_size(), processor_.GetPieceSize());
  EXPECT_EQ(tokenizer_->bos(), processor_.bos_id());
  EXPECT_EQ(tokenizer_->eos(), processor_.eos_id());
}

TEST_F(SentencePiece, AgreesOnEveryLineOfTheCorpora) {
  for (const char* name :
       {"books-valid.txt", "books-calibration.txt", "wikitext-2-raw-test.txt", "wikitext-2-valid.txt"}) {
    const std::filesystem::path path = shared_directory() / "text" / name;
    if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is missing";
    std::size_t compared = 0;
    for (const std::string& line : lines_of(read_file(path))) {
      if (line.find("<unk>") != std::string::npos) continue;  // a special token for tokenizer.json alone
      ASSERT_EQ(tokenizer_->encode(line), reference(line)) << name << ": " << line;
      ++compared;
    }
    EXPECT_GT(compared, 1000U);
  }
}

TEST_F(SentencePiece, AgreesOnManyLinesAtOnce) {
  const std::filesystem::path path = shared_directory() / "text" / "books-calibration.txt";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is missing";
  const std::string text = read_file(path).substr(0, 300000);
  EXPECT_TRUE(tokenizer_->encode(text) == reference(text));
}

TEST_F(SentencePiece, AgreesOnAMegabyteWithoutASpace) {
  Random random(6);
  std::string letters;
  for (int i = 0; i < 1000000; ++i) letters += "etaoinshrdlu"[random.below(12)];
  for (const std::string& text : {letters, std::string(1000000, 'a'), std::string(1000000, ' ')}) {
    EXPECT_TRUE(tokenizer_->encode(text) == reference(text));
  }
}

TEST_F(SentencePiece, AgreesOnRunsOfOneCharacter) {
  Random random(7);
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (int i = 0; i < 20; ++i) text.append(1 + random.below(9), "-.a_= e"[random.below(7)]);
    ASSERT_EQ(tokenizer_->encode(text), reference(text)) << text;
  }
}

TEST_F(SentencePiece, AgreesOnHostileText) {
  const std::vector<std::string> texts = {"",
                                          " ",
                                          "  ",
                                          "   leading",
                                          "trailing   ",
                                          "in   the   middle",
                                          "▁",
                                          "▁▁ ▁a",
                                          "<0x0A>",
                                          "\n",
                                          "\r\n\t",
                                          std::string("a\0b\0", 4),
                                          "\x01\x02\x1f\x7f",
                                          "👩‍👩‍👧‍👦 🏳️‍🌈",
                                          "e\u0301 \u0301",
                                          "日本語 한국어 العربية",
                                          "\u200b\ufeff\u2028\u3000",
                                          "\ufffd",
                                          "\U0010ffff",
                                          "...!!!???",
                                          "-----------",
                                          "lolololol",
                                          "http://a.b/c?d=e"};
  for (const std::string& text : texts) EXPECT_EQ(tokenizer_->encode(text), reference(text)) << text;
}

TEST_F(SentencePiece, DecodesToTheSameText) {
  const std::vector<std::string> texts = {"", "a b", "  a", "é 世 🙂", "\n\n", "x \ufffd"};
  for (const std::string& text : texts) {
    const Ids ids = reference(text);
    std::string decoded;
    ASSERT_TRUE(processor_.Decode(ids, &decoded).ok());
    EXPECT_EQ(tokenizer_->decode(ids), decoded) << text;
  }
}

TEST_F(SentencePiece, LooksForNoSpecialTokensInText) {
  EXPECT_EQ(tokenizer_->encode("a<s>b").size(), 3U);
  EXPECT_GT(reference("a<s>b").size(), 3U);
}

TEST_F(SentencePiece, PutsAReplacementCharacterForEveryByteOfACutSequence) {
  const Ids one = tokenizer_->encode("\ufffd");
  EXPECT_EQ(tokenizer_->encode("\xe2\x82"), one);
  EXPECT_EQ(reference("\xe2\x82"), reference("\ufffd\ufffd"));
}

}  // namespace
}  // namespace twofold
