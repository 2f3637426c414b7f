#include "text/unicode.h"

#include <gtest/gtest.h>

namespace twofold {
namespace {

const std::string kReplacement = "\xef\xbf\xbd";

TEST(Utf8, TakesEveryCodePointAndGivesItBack) {
  for (char32_t value = 0; value <= 0x10ffff; ++value) {
    if (value >= 0xd800 && value <= 0xdfff) continue;
    std::string text;
    const auto add = [&](char32_t byte) { text += static_cast<char>(byte); };
    if (value < 0x80) {
      add(value);
    } else if (value < 0x800) {
      add(0xc0 | value >> 6);
      add(0x80 | (value & 63));
    } else if (value < 0x10000) {
      add(0xe0 | value >> 12);
      add(0x80 | (value >> 6 & 63));
      add(0x80 | (value & 63));
    } else {
      add(0xf0 | value >> 18);
      add(0x80 | (value >> 12 & 63));
      add(0x80 | (value >> 6 & 63));
      add(0x80 | (value & 63));
    }
    ASSERT_TRUE(is_valid_utf8(text)) << std::hex << static_cast<unsigned>(value);
    std::size_t at = 0;
    ASSERT_EQ(next_code_point(text, at), value);
    ASSERT_EQ(at, text.size());
    ASSERT_EQ(previous_code_point(text, at), 0U);
  }
}

TEST(Utf8, PutsOneReplacementForEveryMaximalSubpart) {
  const std::vector<std::pair<std::string, std::size_t>> broken = {
      {"\x80", 1},                 // continuation alone
      {"\xbf\xbf", 2},             // two of them
      {"\xc0\x80", 2},             // overlong NUL
      {"\xc1\xbf", 2},             // overlong
      {"\xe0\x80\x80", 3},         // overlong
      {"\xe0\x9f\xbf", 3},         // the longest overlong of three bytes
      {"\xed\xa0\x80", 3},         // first surrogate
      {"\xed\xbf\xbf", 3},         // last surrogate
      {"\xf0\x8f\xbf\xbf", 4},     // overlong
      {"\xf4\x90\x80\x80", 4},     // U+110000
      {"\xf5\x80\x80\x80", 4},     // leads that are never used
      {"\xff\xfe", 2},             //
      {"\xc3", 1},                 // cut
      {"\xe2\x82", 1},             //
      {"\xf0\x9f\x98", 1},         //
      {"\xe2\x82\xe2\x82", 2},     // cut by another that is cut
      {"\xf0\x9f\xf0\x9f\x98", 2}  //
  };
  for (const auto& [bytes, count] : broken) {
    std::string expected;
    for (std::size_t i = 0; i < count; ++i) expected += kReplacement;
    EXPECT_FALSE(is_valid_utf8(bytes)) << bytes;
    EXPECT_EQ(replace_invalid_utf8(bytes), expected);
    EXPECT_EQ(replace_invalid_utf8("0123456789" + bytes + "x"), "0123456789" + expected + "x");
  }
}

TEST(Utf8, KeepsValidTextBehindABrokenSequence) {
  EXPECT_EQ(replace_invalid_utf8("\xe2\x82\xe2\x82\xac"), kReplacement + "\xe2\x82\xac");
}

TEST(CodePoints, WordCharactersAndSpaces) {
  for (const char32_t c : {U'a', U'Z', U'0', U'_', U'é', U'日', U'\u0301', U'\u200d', U'\u0660', U'\u24b6'}) {
    EXPECT_TRUE(is_word_character(c)) << static_cast<unsigned>(c);
  }
  for (const char32_t c : {U' ', U'-', U'.', U'\u2581', U'\u20ac', U'\U0001f642', U'\U0010ffff'}) {
    EXPECT_FALSE(is_word_character(c)) << static_cast<unsigned>(c);
  }
  for (const char32_t c : {U' ', U'\t', U'\n', U'\v', U'\u0085', U'\u00a0', U'\u3000', U'\u2028'}) {
    EXPECT_TRUE(is_white_space(c)) << static_cast<unsigned>(c);
  }
  for (const char32_t c : {U'a', U'\0', U'\u2581', U'\u200b', U'\ufeff'}) {
    EXPECT_FALSE(is_white_space(c)) << static_cast<unsigned>(c);
  }
}

}  // namespace
}  // namespace twofold
