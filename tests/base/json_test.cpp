#include "base/json.h"

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "expect_error.h"
#include "support/temp_directory.h"

namespace twofold {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string parse_error(std::string_view text) {
  return error_of([&] { parse_json(text, "some.json"); });
}

TEST(ParseJson, KeepsExactNumbersAndText) {
  const Json json =
      parse_json(R"({"u": 18446744073709551615, "i": -9223372036854775808, "d": 0.1, "s": "é\n"})", "x");
  EXPECT_EQ(json["u"].get<std::uint64_t>(), UINT64_MAX);
  EXPECT_EQ(json["i"].get<std::int64_t>(), INT64_MIN);
  EXPECT_EQ(json["d"].get<double>(), 0.1);
  EXPECT_EQ(json["s"].get<std::string>(), "\u00e9\n");
}

TEST(ParseJson, ErrorsNameTheFile) {
  for (const char* text :
       {"", "{", "{\"a\":1,}", "{} {}", "{}x", "[1 2]", "nul", "NaN", "1e999", "'a'", "// c\n1", "\"\xff\"",
        "\"\xed\xa0\x80\"", "\"\\ud800\"", "\"\n\"", "01", "{\"a\" 1}", "{1:2}"}) {
    EXPECT_THAT(parse_error(text), HasSubstr("some.json: ")) << text;
  }
}

TEST(ParseJson, ANulCharacterDoesNotEndTheText) {
  EXPECT_THAT(parse_error(std::string_view("{}\0", 3)),
              HasSubstr("some.json: not valid JSON: NUL character at byte 2"));
  EXPECT_THAT(parse_error(std::string_view("{}\0{\"hidden\": 1}", 16)), HasSubstr("NUL"));
}

TEST(ParseJson, RefusesDuplicateKeysAtAnyDepthButNotInDifferentObjects) {
  EXPECT_THAT(parse_error(R"({"a": 1, "b": 2, "a": 3})"), HasSubstr("\"a\" appears twice"));
  EXPECT_THAT(parse_error(R"([{"x": {"a": 1, "\u0061": 1}}])"), HasSubstr("\"a\" appears twice"));
  EXPECT_THAT(parse_error(R"({"k": {}, "k": {}})"), HasSubstr("\"k\" appears twice"));
  EXPECT_NO_THROW(parse_json(R"({"a": {"a": [{"a": 1}, {"a": 2}]}, "b": {"a": 1}})", "x"));
}

TEST(ParseJson, RefusesDeepNesting) {
  const auto nested = [](int depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_NO_THROW(parse_json(nested(128), "x"));
  EXPECT_THAT(parse_error(nested(130)), HasSubstr("nested deeper than 128"));
  EXPECT_THAT(parse_error(std::string(1'000'000, '[')), HasSubstr("nested deeper"));
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  EXPECT_THAT(parse_error(objects), HasSubstr("nested deeper"));
}

TEST(ParseJson, MessagesStayShort) {
  EXPECT_LT(
      parse_error("{\"" + std::string(100'000, 'k') + "\":1,\"" + std::string(100'000, 'k') + "\":1}").size(),
      300U);
  EXPECT_LT(parse_error("\"" + std::string(100'000, 'k')).size(), 400U);
}

TEST(JsonQuote, EscapesAndCuts) {
  EXPECT_EQ(json_quote("a\n\"\x1b[0m"), R"("a\n\"\u001b[0m")");
  EXPECT_EQ(json_quote("\xff"), R"("\ufffd")");
  EXPECT_LE(json_quote(std::string(1'000'000, 'x')).size(), 110U);
  EXPECT_LE(json_quote(std::string(1'000'000, '\x01')).size(), 110U);
}

TEST(JsonFields, IntegersAreExactAndInRange) {
  const Json json =
      parse_json(R"({"i": 5, "big": 18446744073709551615, "d": 5.0, "n": null, "s": "5", "neg": -1})", "x");
  EXPECT_EQ(json_int(json, "i", "f", 0, 10), 5);
  EXPECT_EQ(json_int(json, "n", "f", 0, 10, 7), 7);
  EXPECT_EQ(json_int(json, "absent", "f", 0, 10, 7), 7);
  EXPECT_THAT(error_of([&] { json_int(json, "absent", "f.json", 0, 10); }),
              HasSubstr("f.json: missing field \"absent\""));
  EXPECT_THAT(error_of([&] { json_int(json, "n", "f", 0, 10); }), HasSubstr("missing field \"n\""));
  for (const char* key : {"big", "d", "s", "neg"}) {
    EXPECT_THAT(error_of([&] { json_int(json, key, "f", 0, 10); }),
                AllOf(HasSubstr(key), HasSubstr("expected an integer from 0 to 10")));
  }
  EXPECT_THAT(error_of([&] { json_int(json, "big", "f", 0, INT64_MAX); }), HasSubstr("18446744073709551615"));
}

TEST(JsonFields, OtherTypesAreCheckedToo) {
  const Json json = parse_json(R"({"d": 1.5, "b": true, "s": "t", "o": {}, "a": []})", "x");
  EXPECT_EQ(json_double(json, "d", "f", 0, 2), 1.5);
  EXPECT_EQ(json_bool(json, "b", "f"), true);
  EXPECT_EQ(json_string(json, "s", "f"), "t");
  EXPECT_TRUE(json_object(json, "o", "f").empty());
  EXPECT_TRUE(json_array(json, "a", "f").empty());
  EXPECT_EQ(json_string(json, "absent", "f", "default"), "default");
  EXPECT_EQ(json_bool(json, "absent", "f", true), true);
  EXPECT_EQ(json_double(json, "absent", "f", 0, 1, 0.5), 0.5);
  EXPECT_THAT(error_of([&] { json_double(json, "d", "f", 0, 1); }), HasSubstr("from 0 to 1, found 1.5"));
  EXPECT_THAT(error_of([&] { json_double(json, "s", "f", 0, 1); }), HasSubstr("expected a number"));
  EXPECT_THAT(error_of([&] { json_bool(json, "d", "f"); }), HasSubstr("expected true or false"));
  EXPECT_THAT(error_of([&] { json_string(json, "o", "f"); }),
              HasSubstr("expected a string, found an object"));
  EXPECT_THAT(error_of([&] { json_object(json, "a", "f"); }),
              HasSubstr("expected an object, found an array"));
  EXPECT_THAT(error_of([&] { json_array(json, "o", "f"); }), HasSubstr("expected an array"));
  EXPECT_THAT(error_of([&] { json_int(parse_json("[1]", "x"), "i", "f", 0, 1); }),
              HasSubstr("expected a JSON object"));
}

TEST(ReadJsonFile, NamesTheFileAndHonoursTheLimit) {
  const TempDirectory directory;
  write_file(directory / "a.json", "{\"a\": 1}");
  EXPECT_EQ(read_json_file(directory / "a.json")["a"], 1);
  EXPECT_THAT(error_of([&] { read_json_file(directory / "a.json", 7); }),
              AllOf(HasSubstr("a.json"), HasSubstr("at most 7")));
  EXPECT_THAT(error_of([&] { read_json_file(directory / "b.json"); }),
              AllOf(HasSubstr("b.json"), HasSubstr("cannot open")));
}

}  // namespace
}  // namespace twofold
