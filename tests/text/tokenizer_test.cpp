#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/random.h"
#include "expect_error.h"
#include "support/temp_directory.h"
#include "text/fixture.h"
#include "text/unicode.h"

namespace twofold {
namespace {

using Ids = std::vector<TokenId>;
using testing::HasSubstr;

std::string pieces(const Tokenizer& tokenizer, const Ids& ids) {
  std::string text;
  for (const TokenId id : ids) text += tokenizer.piece(id);
  return text;
}

class DemoTokenizer : public testing::Test {
 protected:
  std::unique_ptr<Tokenizer> tokenizer_ = load_tokenizer(demo_directory());
};

TEST_F(DemoTokenizer, KnowsItsBoundaryTokens) {
  EXPECT_EQ(tokenizer_->vocab_size(), 4096);
  EXPECT_EQ(tokenizer_->bos(), 1);
  EXPECT_EQ(tokenizer_->eos(), 2);
  EXPECT_EQ(tokenizer_->encode(""), Ids());
  EXPECT_EQ(tokenizer_->encode_prompt(""), Ids{1});
}

TEST_F(DemoTokenizer, GivesEveryTextBackThatIsUtf8) {
  Random random(5);
  const std::vector<std::string> parts = {"the",  " ",  "  ", "\n", "é",      "日本",
                                          "🙂", "\t", ".",  "▁x", "\u0301", "\x01"};
  for (int round = 0; round < 500; ++round) {
    std::string text;
    for (std::size_t n = random.below(30); n > 0; --n) text += parts[random.below(parts.size())];
    std::string expected;  // "▁" stands for a space
    for (std::size_t at = 0; at < text.size(); ++at) {
      const bool space = text.compare(at, 3, "▁") == 0;
      expected += space ? ' ' : text[at];
      if (space) at += 2;
    }
    EXPECT_EQ(tokenizer_->decode(tokenizer_->encode(text)), expected) << text;
  }
}

TEST_F(DemoTokenizer, StreamsPiecesThatJoinToTheTextAndItsLeadingSpace) {
  for (const std::string text : {"One two", "  three", "é 世 🙂\n\n", "x"}) {
    EXPECT_EQ(pieces(*tokenizer_, tokenizer_->encode(text)), " " + text);
  }
  EXPECT_EQ(pieces(*tokenizer_, tokenizer_->encode("a<s>b")), " a b");
}

TEST_F(DemoTokenizer, StreamsAByteTokenAsOneByte) {
  EXPECT_EQ(tokenizer_->piece(3 + 0xc3), "\xc3");
  EXPECT_EQ(tokenizer_->piece(3 + 0x0a), "\n");
  EXPECT_EQ(tokenizer_->piece(1), "");
}

TEST_F(DemoTokenizer, RefusesUnknownIds) {
  for (const TokenId id : {-1, 4096, INT32_MAX, INT32_MIN}) {
    EXPECT_THAT(error_of([&] { tokenizer_->decode({5, id}); }), HasSubstr(std::to_string(id)));
    EXPECT_THAT(error_of([&] { tokenizer_->piece(id); }), HasSubstr("no token has the id"));
  }
}

TEST_F(DemoTokenizer, TakesBytesThatAreNotUtf8ForReplacementCharacters) {
  const std::string text = "a\xe2\x82 b\xff";
  EXPECT_EQ(tokenizer_->encode(text), tokenizer_->encode(replace_invalid_utf8(text)));
}

TEST_F(DemoTokenizer, GivesTheStoredIdsOfTheHeldOutBooks) {
  const auto directory = shared_directory() / "text";
  if (!std::filesystem::exists(directory / "books-valid.u16")) GTEST_SKIP() << "books-valid.u16 is missing";
  const std::string bytes = read_file(directory / "books-valid.u16");
  std::vector<Ids> parts;  // each begins with BOS
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) {
    const TokenId id = static_cast<unsigned char>(bytes[i]) | static_cast<unsigned char>(bytes[i + 1]) << 8;
    if (id == 1) parts.emplace_back();
    ASSERT_FALSE(parts.empty());
    parts.back().push_back(id);
  }
  std::string text;
  for (const Ids& part : parts) {
    const std::string decoded = tokenizer_->decode(part);
    EXPECT_TRUE(tokenizer_->encode_prompt(decoded) == part);
    text += decoded;
  }
  EXPECT_TRUE(text == read_file(directory / "books-valid.txt"));
}

TEST_F(DemoTokenizer, EncodesInSeveralThreadsAtOnce) {
  std::string text;
  for (int i = 0; i < 3000; ++i) text += " word" + std::to_string(i % 37);
  const Ids expected = tokenizer_->encode(text);
  std::vector<Ids> results(4);
  std::vector<std::thread> threads;
  for (Ids& result : results) threads.emplace_back([&] { result = tokenizer_->encode(text); });
  for (std::thread& thread : threads) thread.join();
  for (const Ids& result : results) EXPECT_TRUE(result == expected);
}

TEST(TinyStoriesTokenizer, MergesAcrossSpacesAndGivesTextBack) {
  const auto directory = shared_directory() / "models/tinystories-656k";
  if (!std::filesystem::exists(directory / "tokenizer.json")) GTEST_SKIP() << directory << " is missing";
  const auto tokenizer = load_tokenizer(directory);
  const std::string text = "Once upon a time, there was a little girl named Sue. She was very happy.\n";
  const Ids ids = tokenizer->encode(text);
  EXPECT_LT(ids.size(), 20U);  // several words in one token
  EXPECT_EQ(tokenizer->decode(ids), text);
  EXPECT_EQ(tokenizer->bos(), 1);
  EXPECT_EQ(tokenizer->eos(), 2);
  // A special token of the normalized kind: only behind a space, which normalization makes part of it.
  EXPECT_EQ(tokenizer->encode("<|end_story|>"), Ids{2});
  EXPECT_EQ(tokenizer->decode({2}), "");
  EXPECT_GT(tokenizer->encode("x<|end_story|>").size(), 5U);
}

// What tokenizer_config.json says of BOS and EOS, and the post-processor.

std::string small_json(const std::string& post_processor) {
  return R"({"version":"1.0","added_tokens":[{"id":4,"content":"<x>","single_word":false,"lstrip":false,)"
         R"("rstrip":false,"normalized":false,"special":true}],"post_processor":)" +
         post_processor +
         R"(,"model":{"type":"BPE","vocab":{"<unk>":0,"<s>":1,"</s>":2,"a":3},"merges":[],"unk_token":"<unk>"}})";
}

std::string template_json(const std::string& before, const std::string& after) {
  Json single = Json::array({{{"Sequence", {{"id", "A"}, {"type_id", 0}}}}});
  const auto token = [](const std::string& name) {
    return Json{{"SpecialToken", {{"id", name}, {"type_id", 0}}}};
  };
  if (!before.empty()) single.insert(single.begin(), token(before));
  if (!after.empty()) single.push_back(token(after));
  const Json special_tokens = {{"<s>", {{"ids", {1}}}}, {"</s>", {{"ids", {2}}}}};
  return Json{{"type", "TemplateProcessing"}, {"single", single}, {"special_tokens", special_tokens}}.dump();
}

struct BoundaryCase {
  std::string name;
  std::string post_processor;
  std::string config;
  Ids prompt;  // of "a"
  std::optional<TokenId> bos;
  std::optional<TokenId> eos;
};

class Boundary : public testing::TestWithParam<BoundaryCase> {};

TEST_P(Boundary, IsSettledBetweenPostProcessorAndConfig) {
  const BoundaryCase& test = GetParam();
  const auto tokenizer = parse_tokenizer_json(small_json(test.post_processor), test.config, "small.json");
  EXPECT_EQ(tokenizer->encode_prompt("a"), test.prompt);
  EXPECT_EQ(tokenizer->bos(), test.bos);
  EXPECT_EQ(tokenizer->eos(), test.eos);
}

const std::string kNames = R"("bos_token":"<s>","eos_token":{"__type":"AddedToken","content":"</s>"})";

INSTANTIATE_TEST_SUITE_P(
    Cases, Boundary,
    testing::Values(BoundaryCase{"NothingSaid", "null", "", {3}, {}, {}},
                    BoundaryCase{"NamesOnly", "null", "{" + kNames + "}", {3}, 1, 2},
                    BoundaryCase{"TemplateOnly", template_json("<s>", "</s>"), "", {1, 3, 2}, 1, 2},
                    BoundaryCase{
                        "TemplateAndNames", template_json("<s>", ""), "{" + kNames + "}", {1, 3}, 1, 2},
                    BoundaryCase{"NullsSayNothing",
                                 template_json("<s>", ""),
                                 R"({"add_bos_token":null,"bos_token":null,"eos_token":null})",
                                 {1, 3},
                                 1,
                                 {}},
                    BoundaryCase{"ConfigTakesBosAway",
                                 template_json("<s>", ""),
                                 R"({"add_bos_token":false,)" + kNames + "}",
                                 {3},
                                 1,
                                 2},
                    BoundaryCase{"ConfigAddsBoth",
                                 "null",
                                 R"({"add_bos_token":true,"add_eos_token":true,)" + kNames + "}",
                                 {1, 3, 2},
                                 1,
                                 2},
                    BoundaryCase{"ConfigAddsEosOnly",
                                 template_json("<s>", ""),
                                 R"({"add_eos_token":true,)" + kNames + "}",
                                 {1, 3, 2},
                                 1,
                                 2},
                    BoundaryCase{"ConfigNamesAnotherToken",
                                 template_json("<s>", ""),
                                 R"({"add_bos_token":true,"bos_token":"<x>"})",
                                 {4, 3},
                                 4,
                                 {}}),
    [](const auto& instance) { return instance.param.name; });

TEST(TokenizerConfig, MustNameTokensThatExist) {
  const auto parse = [](const std::string& config) {
    return error_of([&] { parse_tokenizer_json(small_json("null"), config, "/models/m/tokenizer.json"); });
  };
  EXPECT_EQ(parse(R"({"bos_token":"<nowhere>"})"),
            "/models/m/tokenizer_config.json: \"bos_token\": \"<nowhere>\" is not a token of the tokenizer");
  EXPECT_THAT(parse(R"({"add_eos_token":true})"), HasSubstr("\"add_eos_token\" is true"));
  EXPECT_THAT(parse(R"({"add_bos_token":1})"),
              HasSubstr("\"add_bos_token\": expected true or false, found 1"));
  EXPECT_THAT(parse(R"({"bos_token":7})"), HasSubstr("\"bos_token\": expected a string, found 7"));
  EXPECT_THAT(parse(R"({"bos_token":{}})"), HasSubstr("bos_token: missing field \"content\""));
  EXPECT_THAT(parse("[]"), HasSubstr("expected a JSON object"));
  EXPECT_THAT(parse("{"), HasSubstr("not valid JSON"));
}

TEST(LoadTokenizer, SaysWhatIsMissing) {
  const TempDirectory directory;
  EXPECT_THAT(error_of([&] { load_tokenizer(directory.path()); }),
              HasSubstr("no tokenizer: expected tokenizer.json, "));
  write_file(directory / "tokenizer.model", "x");
  EXPECT_THAT(error_of([&] { load_tokenizer(directory.path()); }),
              HasSubstr("tokenizer.model: expected a SentencePiece model, found"));
  write_file(directory / "tokenizer.json", small_json("null"));
  EXPECT_EQ(load_tokenizer(directory.path())->vocab_size(), 5);
  write_file(directory / "tokenizer_config.json", "{\"bos_token\":\"<s>\"}");
  EXPECT_EQ(load_tokenizer(directory.path())->bos(), 1);
}

}  // namespace
}  // namespace twofold
