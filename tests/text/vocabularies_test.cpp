// Files of every kind that holds a vocabulary: the ids of real ones, and what is broken.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "expect_error.h"
#include "text/fixture.h"
#include "text/tokenizer_files.h"

namespace twofold {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using Ids = std::vector<TokenId>;

struct RealVocabulary {
  const char* name;
  const char* path;  // below the shared directory
};

class Vocabularies : public testing::TestWithParam<RealVocabulary> {};

/// The texts of a .inp file stand between lines of this.
constexpr std::string_view kBetween = "\n__ggml_vocab_test__\n";

TEST_P(Vocabularies, GiveTheKnownIds) {
  const std::filesystem::path vectors = shared_directory() / "vocab" / GetParam().name;
  const std::filesystem::path path = shared_directory() / GetParam().path;
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is missing";
  const std::string inputs = read_file(vectors.string() + ".gguf.inp");
  const auto outputs = lines_of(read_file(vectors.string() + ".gguf.out"));
  const auto tokenizer = load_tokenizer(path);
  std::size_t begin = 0;
  std::size_t count = 0;
  for (const std::string& line : outputs) {
    const std::size_t end = std::min(inputs.find(kBetween, begin), inputs.size());
    const std::string text = inputs.substr(begin, end - begin);
    begin = end + kBetween.size();
    Ids expected;
    std::istringstream numbers(line);
    for (TokenId id = 0; numbers >> id;) expected.push_back(id);
    const Ids ids = tokenizer->encode(text);
    EXPECT_EQ(ids, expected) << text;
    EXPECT_EQ(tokenizer->decode(ids), text);
    ++count;
  }
  EXPECT_GT(count, 40U);
}

INSTANTIATE_TEST_SUITE_P(Real, Vocabularies,
                         testing::Values(RealVocabulary{"falcon", "vocab/falcon.gguf"},
                                         RealVocabulary{"gpt-2", "vocab/gpt-2.gguf"},
                                         RealVocabulary{"llama-spm", "vocab/llama-spm.gguf"},
                                         RealVocabulary{"llama-spm", "vocab/llama-2.tokenizer.model"},
                                         RealVocabulary{"mpt", "vocab/mpt.gguf"},
                                         RealVocabulary{"starcoder", "vocab/starcoder.gguf"},
                                         RealVocabulary{"llama-bpe", "tokenizers/llama-3"},
                                         RealVocabulary{"qwen2", "tokenizers/qwen"}));

TEST(SentencePieceModel, AgreesWithTheTokenizerJsonBesideIt) {
  const auto json = load_tokenizer(demo_directory());
  const auto model = load_tokenizer(demo_directory() / "tokenizer.model");
  EXPECT_EQ(model->bos(), json->bos());
  EXPECT_EQ(model->eos(), json->eos());
  const Json sets = fixture_sets("demo_tokenizer.json");
  for (const Json& item : sets[0]["cases"]) {
    const std::string text = fixture_text(item[0]);
    EXPECT_EQ(model->encode_prompt(text), json->encode_prompt(text)) << item[0].dump();
  }
}

TEST(SentencePieceModel, IsRefusedWhenBroken) {
  const std::string good = read_file(demo_directory() / "tokenizer.model");
  const auto message = [](const std::string& bytes) {
    return error_of([&] { parse_sentencepiece_model(bytes, {}, "m"); });
  };
  EXPECT_EQ(message(""), "m: expected a SentencePiece model, found no pieces");
  EXPECT_THAT(message(good.substr(0, 1001)), StartsWith("m: expected a SentencePiece model, found a broken"));
  EXPECT_EQ(message(std::string("\x0a\x00", 2)), "m: piece 0: expected a text, found none");
  EXPECT_EQ(message("\x0a\x05\x0a\x01\x61\x18\x09"), "m: piece 0: type: expected 1 to 6, found 9");
  EXPECT_EQ(message("\x0a\x08\x0a\x01\x61\x15\xff\xff\xff\x7f"),
            "m: piece 0: score: expected a number, found nan");
  EXPECT_THAT(message("\x0a\x03\x0a\x01\xff"), HasSubstr("is not UTF-8"));
  EXPECT_EQ(message("\x0a\x03\x0a\x01\x61\x12\x02\x18\x04"),
            "m: trainer_spec.model_type: expected 1 (unigram) or 2 (BPE), found 4");
  EXPECT_EQ(message(std::string("\x1a\x03\x28\x80\x00", 5)),  // false in two bytes
            "m: normalizer_spec.escape_whitespaces: expected true, found false");
  const std::vector<char> cut = {0x1a, 0x01, 0x18};  // a bool behind the end, in memory of just this size
  EXPECT_THAT(error_of([&] {
                parse_sentencepiece_model({cut.data(), cut.size()}, {}, "m");
              }),
              HasSubstr("found a broken protocol buffer"));
}

TEST(TiktokenRanks, AreRefusedWhenBroken) {
  const auto message = [](const std::string& text) {
    return error_of([&] { parse_tiktoken_ranks(text, {}, "r"); });
  };
  EXPECT_EQ(message("YQ== 1\n"),
            "r: line 1: expected a token in base64, a space and the rank 0, found \"YQ== 1\"");
  EXPECT_THAT(message("YQ== 0\nY 1\n"), StartsWith("r: line 2: expected a token in base64"));
  EXPECT_THAT(message("YQ== 0\nYg==\n"), StartsWith("r: line 2: expected a token in base64"));
  EXPECT_THAT(message("YQ== 0x\n"), StartsWith("r: line 1: expected a token in base64"));
  EXPECT_EQ(message("YQ== 0\nYQ== 1\n"), "r: a token is there twice");
  EXPECT_EQ(message("YQ== 0\n"), "r: expected a token for every single byte, found none for 0x00");
}

TEST(VocabAndMerges, EncodeAsGpt2AndOptDo) {
  const std::string vocab = R"({"a": 0, "b": 1, "\u0120": 2, "ab": 3, "\u0120a": 4, "</s>": 5})";
  const std::string merges = "#version: 0.2\na b\n\u0120 a\n";
  const auto load = [&](const TokenizerConfig& config) {
    return parse_vocab_and_merges(vocab, merges, config, "v", "m");
  };
  EXPECT_EQ(load({})->encode_prompt("ab a</s>"), (Ids{5, 3, 4, 5}));
  TokenizerConfig config;
  config.bos = config.eos = "</s>";
  config.special = {"</s>"};
  config.add_bos = false;
  EXPECT_EQ(load(config)->encode_prompt("ab"), (Ids{3}));
  EXPECT_EQ(load(config)->decode({3, 4, 5}), "ab a");
  EXPECT_EQ(load(config)->decode_with_special({3, 4, 5}), "ab a</s>");
  const auto message = [&](const std::string& rules) {
    return error_of([&] { parse_vocab_and_merges(vocab, rules, {}, "v", "m"); });
  };
  EXPECT_EQ(message("a b\na\n"), "m: line 2: expected two pieces with one space between, found \"a\"");
  EXPECT_EQ(message("a c\n"), "m: line 1: piece \"c\" is not in the vocabulary");
  EXPECT_EQ(message("a \xff\n"), "m: line 1: \"a \\ufffd\" is not UTF-8");
}

TEST(Tekken, IsReadWithItsSpecialTokens) {
  Json json = {
      {"config", {{"pattern", "\\p{L}+|."}, {"default_vocab_size", 260}, {"default_num_special_tokens", 3}}},
      {"vocab", Json::array()}};
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t byte = 0; byte < 256; ++byte) {
    const std::string text = {kDigits[byte >> 2], kDigits[(byte & 3) << 4], '=', '='};
    json["vocab"].push_back({{"rank", byte}, {"token_bytes", text}});
  }
  json["vocab"].push_back({{"rank", 256}, {"token_bytes", "YWI="}});  // ab
  const auto tokenizer = parse_tekken(json.dump(), {}, "tekken.json");
  EXPECT_EQ(tokenizer->encode_prompt("aab!</s>"), (Ids{1, 3 + 'a', 259, 3 + '!', 2}));
  json["vocab"][7]["rank"] = 8;
  EXPECT_THAT(error_of([&] { parse_tekken(json.dump(), {}, "t"); }),
              StartsWith("t.vocab[7]: \"rank\": expected"));
}

}  // namespace
}  // namespace twofold
