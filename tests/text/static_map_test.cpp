#include "text/static_map.h"

#include <gtest/gtest.h>

#include <map>

#include "base/random.h"

namespace twofold {
namespace {

TEST(StaticMap, FindsWhatIsThereAndNothingElse) {
  Random random(3);
  for (const std::size_t size : {0U, 1U, 2U, 3U, 100U, 5000U}) {
    std::map<std::uint64_t, std::uint64_t> expected;
    while (expected.size() < size) expected[random.below(4 * size)] = random.next();
    const StaticMap map({expected.begin(), expected.end()});
    for (std::uint64_t key = 0; key < 4 * size + 4; ++key) {
      const std::uint64_t* found = map.find(key);
      ASSERT_EQ(found != nullptr, expected.contains(key)) << key;
      if (found != nullptr) {
        ASSERT_EQ(*found, expected[key]);
      }
    }
  }
}

TEST(StaticMap, SpreadsKeysThatDifferInTheirHighHalfOnly) {
  std::vector<StaticMap::Entry> entries;
  for (std::uint64_t i = 0; i < 50000; ++i) entries.emplace_back(i << 40, i);
  const StaticMap map(entries);
  for (const auto& [key, value] : entries) ASSERT_EQ(*map.find(key), value);
}

/// Keys that all fall on one place of the first table: the inverse of its hash, which is odd multiplications
/// and a shift.
TEST(StaticMap, IsBuiltAnewWhenKeysCollide) {
  constexpr std::size_t kCount = 4000;
  constexpr std::uint64_t kMask = 8191;  // of the table for this many keys
  std::vector<StaticMap::Entry> entries;
  for (std::uint64_t key = 1; entries.size() < kCount; ++key) {
    std::uint64_t hash = key * 0x9e3779b97f4a7c15ULL;
    hash ^= hash >> 32;
    if ((((hash * 0xbf58476d1ce4e5b9ULL) >> 32) & kMask) < 8) entries.emplace_back(key, key + 1);
  }
  const StaticMap map(entries);
  for (const auto& [key, value] : entries) ASSERT_EQ(*map.find(key), value);
  EXPECT_EQ(map.find(0), nullptr);
}

}  // namespace
}  // namespace twofold
