// Ids and texts of the reference implementation, from tests/text/data.
#include <gtest/gtest.h>

#include <cstring>

#include "text/fixture.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

namespace twofold {
namespace {

using Ids = std::vector<TokenId>;

std::unique_ptr<Tokenizer> tokenizer_of(const Json& set) {
  if (set.contains("tokenizer")) return parse_tokenizer_json(set["tokenizer"].dump(), "", "small.json");
  const std::filesystem::path path =
      std::filesystem::path(TWOFOLD_SOURCE_DIR) / set["file"].get<std::string>();
  return parse_tokenizer_json(read_file(path), "", path.string());
}

class Reference : public testing::TestWithParam<const char*> {};

TEST_P(Reference, GivesTheSameIdsPromptsAndTexts) {
  const Json sets = fixture_sets(GetParam());
  ASSERT_FALSE(sets.empty());
  for (const Json& set : sets) {
    SCOPED_TRACE(set["name"].get<std::string>());
    const auto tokenizer = tokenizer_of(set);
    for (const Json& item : set["cases"]) {
      const std::string text = fixture_text(item[0]);
      SCOPED_TRACE(item[0].dump());
      const Ids ids = tokenizer->encode(text);
      EXPECT_EQ(ids, item[1].get<Ids>());
      EXPECT_EQ(tokenizer->encode_prompt(text), item[2].get<Ids>());
      EXPECT_EQ(tokenizer->decode(ids), item[3].get<std::string>());
    }
    for (const Json& item : set["decode"]) {
      EXPECT_EQ(tokenizer->decode(item[0].get<Ids>()), item[1].get<std::string>()) << item[0].dump();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Reference,
                         testing::Values("demo_tokenizer.json", "small_tokenizers.json",
                                         "kind_tokenizers.json"),
                         [](const auto& instance) {
                           return std::string(instance.param, std::strchr(instance.param, '_'));
                         });

TEST(Reference, AgreesOnAMegabyteWithoutAWordBoundary) {
  const Json set = fixture_sets("demo_tokenizer.json")[0];
  const auto tokenizer = tokenizer_of(set);
  for (const Json& item : set["repeats"]) {
    const auto unit = item[0].get<std::string>();
    std::string text;
    for (int i = 0; i < item[1].get<int>(); ++i) text += unit;
    Ids expected;
    for (const Json& run : item[2])
      expected.insert(expected.end(), run[1].get<std::size_t>(), run[0].get<TokenId>());
    EXPECT_TRUE(tokenizer->encode(text) == expected) << item[0].dump();
  }
}

}  // namespace
}  // namespace twofold
