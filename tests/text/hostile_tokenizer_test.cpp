// A tokenizer.json may be broken in any way: each gives one clear Error.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "expect_error.h"
#include "text/tokenizer.h"

namespace twofold {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

/// A tokenizer with every stage, to be broken in one place.
Json good_json() {
  return Json::parse(R"({
    "version": "1.0",
    "added_tokens": [
      {"id": 0, "content": "<unk>", "special": true, "single_word": false, "lstrip": false, "rstrip": false,
       "normalized": false},
      {"id": 6, "content": "[new]", "special": false, "single_word": false, "lstrip": false, "rstrip": false,
       "normalized": true}],
    "normalizer": {"type": "Sequence", "normalizers": [
      {"type": "Prepend", "prepend": "_"}, {"type": "Replace", "pattern": {"String": " "}, "content": "_"}]},
    "pre_tokenizer": {"type": "Metaspace", "replacement": "_", "prepend_scheme": "first", "split": false},
    "post_processor": {"type": "TemplateProcessing",
      "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
      "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
    "decoder": {"type": "Sequence", "decoders": [
      {"type": "Replace", "pattern": {"String": "_"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
      {"type": "Strip", "content": " ", "start": 1, "stop": 0}, {"type": "Metaspace", "replacement": "_"}]},
    "model": {"type": "BPE", "unk_token": "<unk>", "vocab": {"<unk>": 0, "<s>": 1, "a": 2, "b": 3, "ab": 4, "_": 5},
      "merges": [["a", "b"]]}})");
}

struct HostileCase {
  const char* place;  // JSON pointer
  const char* value;  // JSON text to put there, or nullptr to take the place away
  const char* message;
};

std::string replaced(Json json, const HostileCase& test) {
  const Json::json_pointer place(test.place);
  if (test.value != nullptr) {
    json[place] = Json::parse(test.value);
  } else if (place.back().find_first_not_of("0123456789") != std::string::npos) {
    json[place.parent_pointer()].erase(place.back());
  }
  return json.dump();
}

TEST(HostileTokenizer, IsBuiltFromAGoodFile) {
  const auto tokenizer = parse_tokenizer_json(good_json().dump(), "", "t.json");
  EXPECT_EQ(tokenizer->encode_prompt("ab"), (std::vector<TokenId>{1, 5, 4}));
  EXPECT_EQ(tokenizer->vocab_size(), 7);
}

TEST(HostileTokenizer, IsRefusedWithFileAndField) {
  const HostileCase cases[] = {
      // the model
      {"/model", nullptr, "t.json: missing field \"model\""},
      {"/model", "[]", "t.json: \"model\": expected an object"},
      {"/model/type", nullptr, "t.json: model: missing field \"type\""},
      {"/model/type", "\"WordPiece\"",
       "t.json: model: \"type\": unknown kind \"WordPiece\"; known kinds: BPE, Unigram"},
      {"/model/type", "\"Unigram\"", "t.json: model: \"vocab\": expected an array"},
      {"/model/type", "3", "t.json: model: \"type\": expected a string, found 3"},
      {"/model/dropout", "0.1", "t.json: model: \"dropout\": random encoding is not supported"},
      {"/model/dropout", "\"x\"", "t.json: model: \"dropout\": expected a number"},
      {"/model/continuing_subword_prefix", "\"##\"",
       "t.json: model.merges[0]: piece \"b\": expected more than the prefix of 2 bytes"},
      {"/model/continuing_subword_prefix", "7", "\"continuing_subword_prefix\": expected a string"},
      {"/model/end_of_word_suffix", "[]", "\"end_of_word_suffix\": expected a string"},
      {"/model/fuse_unk", "\"yes\"", "t.json: model: \"fuse_unk\": expected true or false"},
      {"/model/byte_fallback", "1", "t.json: model: \"byte_fallback\": expected true or false"},
      {"/model/ignore_merges", "{}", "t.json: model: \"ignore_merges\": expected true or false"},
      {"/model/unk_token", "\"<no>\"", "t.json: model: \"unk_token\": \"<no>\" is not in the vocabulary"},
      {"/model/unk_token", "5", "t.json: model: \"unk_token\": expected a string"},
      // the vocabulary
      {"/model/vocab", nullptr, "t.json: model: missing field \"vocab\""},
      {"/model/vocab", "[]", "t.json: model: \"vocab\": expected an object"},
      {"/model/vocab", "{}", "\"unk_token\": \"<unk>\" is not in the vocabulary"},
      {"/model/vocab/a", "-1", "t.json: model.vocab: id of \"a\": expected an integer from 0 to 4194303"},
      {"/model/vocab/a", "4194304",
       "t.json: model.vocab: id of \"a\": expected an integer from 0 to 4194303"},
      {"/model/vocab/a", "18446744073709551615", "t.json: model.vocab: id of \"a\""},
      {"/model/vocab/a", "1e300", "t.json: model.vocab: id of \"a\""},
      {"/model/vocab/a", "2.0", "t.json: model.vocab: id of \"a\""},
      {"/model/vocab/a", "\"2\"", "t.json: model.vocab: id of \"a\""},
      {"/model/vocab/a", "null", "t.json: model.vocab: id of \"a\""},
      {"/model/vocab/a", "3", "t.json: model.vocab: id 3 belongs to both \"a\" and \"b\""},
      // merges
      {"/model/merges", nullptr, "t.json: model: missing field \"merges\""},
      {"/model/merges", "{}", "t.json: model: \"merges\": expected an array"},
      {"/model/merges/0", "\"ab\"", "t.json: model.merges[0]: expected a string of two pieces"},
      {"/model/merges/0", "\"a b c\"", "t.json: model.merges[0]: expected a string of two pieces"},
      {"/model/merges/0", "\" a\"", "t.json: model.merges[0]: expected a string of two pieces"},
      {"/model/merges/0", "\"a c\"", "t.json: model.merges[0]: piece \"c\" is not in the vocabulary"},
      {"/model/merges/0", "\"b a\"", "t.json: model.merges[0]: piece \"ba\" is not in the vocabulary"},
      {"/model/merges/0", "[\"a\"]", "t.json: model.merges[0]: expected a pair of strings"},
      {"/model/merges/0", "[\"a\", 1]", "t.json: model.merges[0]: expected a pair of strings"},
      {"/model/merges/0", "[\"\", \"a\"]", "t.json: model.merges[0]: expected a pair of strings"},
      {"/model/merges/0", "7", "t.json: model.merges[0]: expected a string of two pieces"},
      {"/model/merges/1", "\"a b\"", "t.json: model.merges[1]: expected a pair of strings, as before"},
      // added tokens
      {"/added_tokens", "{}", "t.json: \"added_tokens\": expected an array"},
      {"/added_tokens/0", "3", "t.json: added_tokens[0]: expected a JSON object"},
      {"/added_tokens/0/content", nullptr, "t.json: added_tokens[0]: missing field \"content\""},
      {"/added_tokens/0/content", "\"\"", "t.json: added_tokens[0]: \"content\": expected 1 to 512 bytes"},
      {"/added_tokens/0/special", "\"no\"", "t.json: added_tokens[0]: \"special\": expected true or false"},
      {"/added_tokens/0/lstrip", nullptr, "t.json: added_tokens[0]: missing field \"lstrip\""},
      {"/added_tokens/0/id", "-1", "t.json: added_tokens[0]: \"id\": expected an integer"},
      {"/added_tokens/0/id", "1", "t.json: added_tokens[0]: \"id\": expected 0 for \"<unk>\""},
      {"/added_tokens/1/id", "9", "t.json: added_tokens[1]: \"id\": expected 6 for \"[new]\""},
      {"/added_tokens/1/id", "4000000000", "t.json: added_tokens[1]: \"id\": expected an integer"},
      {"/added_tokens/1/content", "\"<unk>\"",
       "t.json: added_tokens[1]: \"content\": \"<unk>\" is there twice"},
      // stages
      {"/normalizer/type", "\"BertNormalizer\"",
       "t.json: normalizer: \"type\": unknown kind \"BertNormalizer\"; known kinds: ByteLevel, "},
      {"/normalizer", "\"NFC\"", "t.json: normalizer: expected a JSON object"},
      {"/normalizer/normalizers", "null", "t.json: normalizer: missing field \"normalizers\""},
      {"/normalizer/normalizers/0", "null", "t.json: normalizer.normalizers[0]: expected a JSON object"},
      {"/normalizer/normalizers/0/prepend", "1",
       "t.json: normalizer.normalizers[0]: \"prepend\": expected a string"},
      {"/normalizer/normalizers/1/pattern", "{\"Glob\": \"a+\"}",
       "t.json: normalizer.normalizers[1].pattern: unknown kind of pattern \"Glob\"; known kinds: String, "
       "Regex"},
      {"/normalizer/normalizers/1/pattern", "{\"Regex\": \"a(\"}",
       "t.json: normalizer.normalizers[1].pattern: regular expression \"a(\": missing closing parenthesis"},
      {"/normalizer/normalizers/1/pattern", "{\"Regex\": 3}", "\"Regex\": expected a string"},
      {"/normalizer/normalizers/1/pattern", "\" \"", "\"pattern\": expected an object"},
      {"/normalizer/normalizers/1/pattern", "{}", "unknown kind of pattern"},
      {"/normalizer/normalizers/1/pattern/String", "\"\"", "expected a text to look for"},
      {"/normalizer/normalizers/1/content", nullptr, "missing field \"content\""},
      {"/pre_tokenizer/type", "\"UnicodeScripts\"",
       "t.json: pre_tokenizer: \"type\": unknown kind \"UnicodeScripts\""},
      {"/pre_tokenizer", "{\"type\": \"Split\", \"pattern\": {\"String\": \"a\"}, \"behavior\": \"Gone\"}",
       "t.json: pre_tokenizer: \"behavior\": expected Removed, Isolated,"},
      {"/pre_tokenizer", "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Nope\"}]}",
       "t.json: pre_tokenizer.pretokenizers[0]: \"type\": unknown kind \"Nope\""},
      {"/pre_tokenizer/replacement", "\"ab\"",
       "t.json: pre_tokenizer: \"replacement\": expected one character"},
      {"/pre_tokenizer/replacement", "\"\"",
       "t.json: pre_tokenizer: \"replacement\": expected one character"},
      {"/pre_tokenizer/prepend_scheme", "\"last\"", "expected first, always or never, found \"last\""},
      {"/pre_tokenizer/add_prefix_space", "false", "\"add_prefix_space\": false contradicts"},
      {"/pre_tokenizer/split", "0", "t.json: pre_tokenizer: \"split\": expected true or false"},
      {"/decoder/type", "\"WordPiece\"",
       "t.json: decoder: \"type\": unknown kind \"WordPiece\"; known kinds: "},
      {"/decoder/decoders/1/type", "\"\\n\"", "t.json: decoder.decoders[1]: \"type\": unknown kind \"\\n\""},
      {"/decoder/decoders/3/content", "\"  \"",
       "t.json: decoder.decoders[3]: \"content\": expected one character"},
      {"/decoder/decoders/3/start", "-1", "t.json: decoder.decoders[3]: \"start\": expected an integer"},
      {"/decoder/decoders/3/stop", "1e9", "t.json: decoder.decoders[3]: \"stop\": expected an integer"},
      {"/decoder/decoders", "7", "t.json: decoder: \"decoders\": expected an array"},
      {"/post_processor/type", "\"Other\"", "unknown kind \"Other\"; known kinds: BertProcessing, "},
      {"/post_processor/type", "\"BertProcessing\"", "t.json: post_processor: missing field \"cls\""},
      {"/post_processor/single", "[]",
       "t.json: post_processor: \"single\": expected \"Sequence\" A exactly once"},
      {"/post_processor/single/1/Sequence/id", "\"B\"", "expected \"Sequence\" A exactly once, found \"B\""},
      {"/post_processor/single/0", "{\"Sequence\": {\"id\": \"A\"}}",
       "post_processor.single[1]: expected \"Sequence\""},
      {"/post_processor/single/0", "\"<s>\"", "t.json: post_processor.single[0]: expected an object with"},
      {"/post_processor/special_tokens", "{}", "post_processor.special_tokens: missing \"<s>\""},
      {"/post_processor/special_tokens/<s>/ids", "[1.5]", "\"ids\": expected integers from 0"},
      {"/post_processor/special_tokens/<s>/ids", "[-1]", "\"ids\": expected integers from 0"},
      {"/post_processor/special_tokens/<s>/ids", "[7]",
       "t.json: post_processor: id 7 is not the id of a token"},
      {"/version", "\"2.0\"", "t.json: \"version\": expected \"1.0\", found \"2.0\""},
      {"/version", "1.0", "t.json: \"version\": expected a string"},
  };
  for (const HostileCase& test : cases) {
    SCOPED_TRACE(std::string(test.place) + " = " + (test.value == nullptr ? "(away)" : test.value));
    const std::string json = replaced(good_json(), test);
    const std::string message = error_of([&] { parse_tokenizer_json(json, "", "t.json"); });
    EXPECT_THAT(message, StartsWith("t.json: "));
    EXPECT_THAT(message, HasSubstr(test.message));
    EXPECT_LT(message.size(), 250U);
  }
}

TEST(HostileTokenizer, IsRefusedWhenItIsNotJson) {
  for (const std::string text :
       {"", "{", "null", "[]", "\"x\"", "{}x", "{\"model\":1,\"model\":2}", "\xff"}) {
    EXPECT_THAT(error_of([&] { parse_tokenizer_json(text, "", "t.json"); }), StartsWith("t.json: ")) << text;
  }
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += R"({"normalizer":)";
  EXPECT_THAT(error_of([&] { parse_tokenizer_json(deep, "", "t.json"); }), HasSubstr("nested deeper"));
}

TEST(HostileTokenizer, CannotMakeTextExplode) {
  Json json = good_json();
  const Json replace = {
      {"type", "Replace"}, {"pattern", {{"String", "a"}}}, {"content", std::string(256, 'a')}};
  json["normalizer"]["normalizers"] = Json::array({replace, replace});
  const auto message = [&] { return error_of([&] { parse_tokenizer_json(json.dump(), "", "t.json"); }); };
  EXPECT_EQ(message(),
            "t.json: normalizer: could make text 65536 times longer; at most 256 times are allowed");
  json["normalizer"] = {{"type", "Prepend"}, {"prepend", std::string(256, 'a')}};
  EXPECT_THAT(message(), HasSubstr("t.json: normalizer: could make text 257 times longer"));
  json["normalizer"] = replace;
  EXPECT_EQ(parse_tokenizer_json(json.dump(), "", "t.json")->encode("aaa").size(), 769U);
  json["decoder"]["decoders"] = Json::array({replace, {{"type", "Fuse"}}, replace});
  EXPECT_THAT(message(), HasSubstr("t.json: decoder: could make text 65536 times longer"));
}

TEST(HostileTokenizer, MayHaveGapsInItsIds) {
  Json json = good_json();
  json["added_tokens"] = Json::array();
  json["model"]["vocab"]["b"] = 1000;
  const auto tokenizer = parse_tokenizer_json(json.dump(), "", "t.json");
  EXPECT_EQ(tokenizer->vocab_size(), 1001);
  EXPECT_EQ(tokenizer->decode({2, 1000}), "ab");
  EXPECT_THAT(error_of([&] { tokenizer->decode({999}); }), HasSubstr("no token has the id 999"));
}

TEST(HostileTokenizer, MayHaveNoPiecesAtAll) {
  const auto tokenizer =
      parse_tokenizer_json(R"({"model":{"type":"BPE","vocab":{},"merges":[]}})", "", "t.json");
  EXPECT_EQ(tokenizer->vocab_size(), 0);
  EXPECT_TRUE(tokenizer->encode("anything").empty());  // unknown characters without an unknown token vanish
  EXPECT_EQ(tokenizer->decode({}), "");
}

TEST(HostileTokenizer, CannotMakeTheSearchForAddedTokensSlow) {
  Json json = good_json();
  const auto token = [](int id, const std::string& content, bool rstrip) {
    return Json{{"id", id},        {"content", content}, {"special", false},   {"single_word", false},
                {"lstrip", false}, {"rstrip", rstrip},   {"normalized", false}};
  };
  json["added_tokens"] = Json::array({token(6, " ", true), token(7, std::string(511, 'a') + "b", false)});
  const auto tokenizer = parse_tokenizer_json(json.dump(), "", "t.json");
  EXPECT_EQ(tokenizer->encode(std::string(100000, ' ')).size(), 100000U);
  EXPECT_EQ(tokenizer->encode(std::string(100000, 'a')).size(), 100001U);
  json["added_tokens"] = Json::array({token(6, std::string(513, 'a'), false)});
  EXPECT_THAT(error_of([&] { parse_tokenizer_json(json.dump(), "", "t.json"); }),
              HasSubstr("expected 1 to 512 bytes"));
}

}  // namespace
}  // namespace twofold
