#include "runtime/logits.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace twofold {
namespace {

TEST(Logits, NegativeLogLikelihoodOfUniformIsLogOfTheVocabulary) {
  const std::vector<float> logits(50, 3.5F);
  EXPECT_NEAR(negative_log_likelihood(logits, 7), std::log(50.0), 1e-9);
}

TEST(Logits, DivergenceOfTwoKnownDistributions) {
  const std::vector<float> p = {std::log(0.5F), std::log(0.25F), std::log(0.25F)};
  const std::vector<float> q = {std::log(0.25F), std::log(0.5F), std::log(0.25F)};
  EXPECT_NEAR(kl_divergence(p, q), 0.5 * std::log(2.0) - 0.25 * std::log(2.0), 1e-6);
}

TEST(Logits, DivergenceIgnoresAConstantAddedToAllLogits) {
  const std::vector<float> p = {1, 2, 3};
  const std::vector<float> q = {1001, 1002, 1003};
  EXPECT_NEAR(kl_divergence(p, q), 0.0, 1e-9);
  EXPECT_EQ(kl_divergence(p, p), 0.0);
}

TEST(Logits, LargeLogitsDoNotOverflow) {
  const std::vector<float> p = {3e38F, 0};
  EXPECT_NEAR(negative_log_likelihood(p, 0), 0.0, 1e-9);
}

TEST(Logits, NotANumberIsNotHidden) {
  const std::vector<float> p = {1, 2};
  const std::vector<float> q = {NAN, 2};
  EXPECT_TRUE(std::isnan(kl_divergence(p, q)));
}

TEST(Logits, ArgmaxTakesTheFirstOfEquals) {
  const std::vector<float> p = {1, 5, 5, 2};
  EXPECT_EQ(argmax(p), 1);
}

}  // namespace
}  // namespace twofold
