#include "codec/entropy.h"

#include <gtest/gtest.h>

#include "codec/test_weights.h"

namespace twofold {
namespace {

TEST(Entropy, CountsAddUpOverCallsOfAnyLength) {
  Histogram histogram{};
  const Weights weights{1, -1, 1, 127, -128, 1, 0};
  count_values(weights, histogram);
  count_values(std::span(weights).first(1), histogram);
  count_values({}, histogram);
  EXPECT_EQ(histogram[1], 4u);
  EXPECT_EQ(histogram[255], 1u);
  EXPECT_EQ(histogram[127], 1u);
  EXPECT_EQ(histogram[128], 1u);
  EXPECT_EQ(histogram[0], 1u);
}

TEST(Entropy, KnownValues) {
  Histogram histogram{};
  EXPECT_EQ(order0_entropy(histogram), 0);
  histogram[3] = 10;
  EXPECT_EQ(order0_entropy(histogram), 0);
  histogram[200] = 10;
  EXPECT_DOUBLE_EQ(order0_entropy(histogram), 1);
  histogram[7] = 20;
  EXPECT_DOUBLE_EQ(order0_entropy(histogram), 1.5);
  histogram.fill(5);
  EXPECT_DOUBLE_EQ(order0_entropy(histogram), 8);
}

}  // namespace
}  // namespace twofold
