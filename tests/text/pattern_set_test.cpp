#include "text/pattern_set.h"

#include <gtest/gtest.h>

#include <set>

#include "base/random.h"

namespace twofold {
namespace {

TEST(PatternSet, FindsTheLongestAtTheFirstPlace) {
  const PatternSet set({"ab", "abc", "b", "c"});
  const auto match = set.find("xxabcd", 0);
  ASSERT_TRUE(match);
  EXPECT_EQ(match->begin, 2U);
  EXPECT_EQ(match->end, 5U);
  EXPECT_EQ(match->pattern, 1U);
  EXPECT_EQ(set.find("xxabcd", 3)->pattern, 2U);
  EXPECT_FALSE(set.find("xxabcd", 5));
  EXPECT_FALSE(PatternSet().find("abc", 0));
}

TEST(PatternSet, AgreesWithSearchingEachPattern) {
  Random random(4);
  const auto random_text = [&](std::size_t length) {
    std::string text;
    for (; length > 0; --length) text += static_cast<char>(random.below(2) == 0 ? 'a' : '\xff');
    return text;
  };
  for (int round = 0; round < 300; ++round) {
    std::set<std::string> unique;
    while (unique.size() < 1 + random.below(6)) unique.insert(random_text(1 + random.below(5)));
    std::vector<std::string> patterns(unique.rbegin(), unique.rend());
    const PatternSet set(patterns);
    const std::string text = random_text(random.below(20));
    for (std::size_t from = 0; from <= text.size(); ++from) {
      std::optional<PatternSet::Match> expected;
      for (std::size_t begin = from; begin < text.size() && !expected; ++begin) {
        for (std::size_t i = 0; i < patterns.size(); ++i) {
          const std::size_t end = begin + patterns[i].size();
          if (text.compare(begin, patterns[i].size(), patterns[i]) != 0) continue;
          if (!expected || end > expected->end) expected = {begin, end, i};
        }
      }
      const auto found = set.find(text, from);
      ASSERT_EQ(found.has_value(), expected.has_value());
      if (!found) continue;
      ASSERT_EQ(found->begin, expected->begin);
      ASSERT_EQ(found->end, expected->end);
      ASSERT_EQ(found->pattern, expected->pattern);
    }
  }
}

}  // namespace
}  // namespace twofold
