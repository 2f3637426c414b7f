#include "runtime/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <vector>

#include "base/error.h"

namespace twofold {
namespace {

SamplingOptions plain(float temperature = 1.0F) {
  return {.temperature = temperature, .top_k = 0, .top_p = 1.0F, .min_p = 0.0F, .seed = 3};
}

std::map<std::int32_t, int> draw(Sampler& sampler, const std::vector<float>& logits, int times,
                                 std::span<const std::int32_t> history = {}) {
  std::map<std::int32_t, int> counts;
  for (int i = 0; i < times; ++i) {
    std::vector<float> copy = logits;
    ++counts[sampler.sample(copy, history)];
  }
  return counts;
}

const std::vector<float> kLogits = {std::log(0.1F), std::log(0.4F), std::log(0.3F), std::log(0.2F)};

TEST(Sampler, ZeroTemperatureTakesTheMostLikely) {
  Sampler sampler(plain(0));
  EXPECT_EQ(draw(sampler, kLogits, 10), (std::map<std::int32_t, int>{{1, 10}}));
}

TEST(Sampler, FrequenciesFollowTheProbabilities) {
  Sampler sampler(plain());
  const auto counts = draw(sampler, kLogits, 20000);
  for (std::int32_t id = 0; id < 4; ++id) {
    const double p = std::exp(kLogits[static_cast<std::size_t>(id)]);
    EXPECT_NEAR(counts.at(id) / 20000.0, p, 5 * std::sqrt(p * (1 - p) / 20000));
  }
}

TEST(Sampler, TemperatureSharpens) {
  Sampler sampler(plain(0.5F));
  const double p = 0.16 / (0.01 + 0.16 + 0.09 + 0.04);  // squares of the probabilities
  EXPECT_NEAR(draw(sampler, kLogits, 20000).at(1) / 20000.0, p, 5 * std::sqrt(p * (1 - p) / 20000));
}

TEST(Sampler, TopKKeepsTheLikeliest) {
  SamplingOptions options = plain();
  options.top_k = 2;
  Sampler sampler(options);
  const auto counts = draw(sampler, kLogits, 1000);
  EXPECT_EQ(counts.size(), 2U);
  EXPECT_TRUE(counts.contains(1) && counts.contains(2));
}

TEST(Sampler, TopPKeepsTheSmallestSetThatReachesIt) {
  SamplingOptions options = plain();
  options.top_p = 0.65F;  // 0.4 + 0.3 reaches it
  Sampler sampler(options);
  const auto counts = draw(sampler, kLogits, 1000);
  EXPECT_EQ(counts.size(), 2U);
  EXPECT_FALSE(counts.contains(3));
}

/// Some hundred tokens in mixed order whose probabilities fall so slowly that all of the first ones are
/// drawn.
std::vector<float> many_logits() {
  std::vector<float> logits(600);
  for (std::size_t i = 0; i < logits.size(); ++i) {
    logits[i * 7 % 600] = -0.01F * static_cast<float>(i);  // token 7 i is the i-th likeliest
  }
  return logits;
}

TEST(Sampler, TopKOfManyTokens) {
  SamplingOptions options = plain();
  options.top_k = 100;
  Sampler sampler(options);
  const auto counts = draw(sampler, many_logits(), 5000);
  EXPECT_EQ(counts.size(), 100U);
  for (std::int32_t i = 0; i < 100; ++i) EXPECT_TRUE(counts.contains(i * 7 % 600)) << i;
}

TEST(Sampler, TopPOfManyTokens) {
  const std::vector<float> logits = many_logits();
  double total = 0;
  for (const float logit : logits) total += std::exp(logit);
  for (const float p : {0.1F, 0.5F, 0.7F}) {
    std::int32_t expected = 0;
    for (double sum = 0; sum < p * total; ++expected) sum += std::exp(-0.01 * expected);
    SamplingOptions options = plain();
    options.top_p = p;
    Sampler sampler(options);
    const auto counts = draw(sampler, logits, 5000);
    EXPECT_EQ(counts.size(), static_cast<std::size_t>(expected));
    for (std::int32_t i = 0; i < expected; ++i) EXPECT_TRUE(counts.contains(i * 7 % 600)) << p << ": " << i;
  }
}

TEST(Sampler, EqualLogitsAtTheEdgeOfTopK) {
  SamplingOptions options = plain();
  options.top_k = 3;
  Sampler sampler(options);
  const auto counts = draw(sampler, {1, 2, 1, 1, 2, 1}, 1000);
  EXPECT_EQ(counts.size(), 3U);
  EXPECT_TRUE(counts.contains(0) && counts.contains(1) && counts.contains(4));
}

TEST(Sampler, ForbiddenTokensAmongTopKAreNeverDrawn) {
  SamplingOptions options = plain();
  options.top_k = 3;
  Sampler sampler(options);
  EXPECT_EQ(draw(sampler, {-INFINITY, 0.0F, -INFINITY, -INFINITY, -INFINITY}, 100),
            (std::map<std::int32_t, int>{{1, 100}}));
}

TEST(Sampler, MinPDropsWhatIsFarBelowTheBest) {
  SamplingOptions options = plain();
  options.min_p = 0.4F;  // of 0.4: 0.16
  Sampler sampler(options);
  const auto counts = draw(sampler, kLogits, 1000);
  EXPECT_EQ(counts.size(), 3U);
  EXPECT_FALSE(counts.contains(0));
}

TEST(Sampler, RepetitionPenaltyWorksOnEitherSign) {
  SamplingOptions options = plain(0);
  options.repetition_penalty = 2.0F;
  Sampler sampler(options);
  const std::vector<std::int32_t> history = {1, 1, 1};
  EXPECT_EQ(draw(sampler, {1.0F, 1.5F, 0.9F}, 1, history), (std::map<std::int32_t, int>{{0, 1}}));
  EXPECT_EQ(draw(sampler, {-1.5F, -1.0F, -3.0F}, 1, history), (std::map<std::int32_t, int>{{0, 1}}));
}

TEST(Sampler, SameSeedSameTokens) {
  std::vector<std::int32_t> first;
  std::vector<std::int32_t> second;
  for (auto* out : {&first, &second}) {
    Sampler sampler(SamplingOptions{.seed = 42});
    for (int i = 0; i < 50; ++i) {
      std::vector<float> copy = kLogits;
      out->push_back(sampler.sample(copy, {}));
    }
  }
  EXPECT_EQ(first, second);
}

TEST(Sampler, LogitsThatAreNoNumbersAreAnError) {
  Sampler sampler(plain());
  std::vector<float> logits = {1, NAN};
  EXPECT_THROW(sampler.sample(logits, {}), Error);
  logits = {-INFINITY, -INFINITY};
  EXPECT_THROW(sampler.sample(logits, {}), Error);
}

TEST(Sampler, ForbiddenTokenIsNeverDrawn) {
  Sampler sampler(plain());
  EXPECT_EQ(draw(sampler, {-INFINITY, 0.0F}, 100), (std::map<std::int32_t, int>{{1, 100}}));
}

TEST(Sampler, OptionsOutOfRangeAreUsageErrors) {
  EXPECT_THROW(Sampler({.temperature = -1}), UsageError);
  EXPECT_THROW(Sampler({.top_k = -1}), UsageError);
  EXPECT_THROW(Sampler({.top_p = 0}), UsageError);
  EXPECT_THROW(Sampler({.top_p = 1.5F}), UsageError);
  EXPECT_THROW(Sampler({.min_p = 2}), UsageError);
  EXPECT_THROW(Sampler({.repetition_penalty = 0}), UsageError);
  EXPECT_THROW(Sampler({.temperature = NAN}), UsageError);
}

}  // namespace
}  // namespace twofold
