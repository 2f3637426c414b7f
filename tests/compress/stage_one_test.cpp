#include "compress/stage_one.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "support/tiny_model.h"

namespace twofold {
namespace {

using testing::gaussian;

struct Matrix {
  std::int64_t rows, cols;
  std::vector<float> weights;
  ChannelStatistics statistics;
};

Matrix random_matrix(std::int64_t rows, std::int64_t cols, std::uint64_t seed) {
  Random random(seed);
  Matrix m{rows, cols, {}, {}};
  for (std::int64_t i = 0; i < rows * cols; ++i) m.weights.push_back(gaussian(random) * 0.05F);
  for (std::int64_t j = 0; j < cols; ++j) m.statistics.abs_max.push_back(std::exp(gaussian(random)));
  m.statistics.tokens = 10;
  return m;
}

TEST(DcScales, AreThePowerOfTheMaximaRoundedToBf16) {
  const std::vector<float> a = {0.5F, 1.0F, 3.0F, 40.0F};
  const auto s = dc_scales(a, 0.9);
  for (std::size_t j = 0; j < a.size(); ++j) {
    EXPECT_NEAR(s[j], std::pow(a[j], 0.9), std::pow(a[j], 0.9) / 256);
    EXPECT_EQ(s[j], bf16_to_float(float_to_bf16(s[j])));
  }
  for (const float one : dc_scales(a, 0.0)) EXPECT_EQ(one, 1.0F);
}

TEST(DcScales, AChannelNeverSeenIsNotScaledToNothing) {
  const auto s = dc_scales(std::vector<float>{0.0F, 1.0F, 2.0F}, 1.0);
  EXPECT_NEAR(s[0], 0.01, 1e-4);  // 1 % of the mean of 1
  for (const float one : dc_scales(std::vector<float>{0.0F, 0.0F}, 0.9)) EXPECT_EQ(one, 1.0F);
}

TEST(Quantize, PerTensorRoundsToTheNearestStep) {
  const Matrix m = random_matrix(13, 37, 1);
  ThreadPool pool(2);
  const auto scale = dc_scales(m.statistics.abs_max, 0.7);
  const QuantizedMatrix out = quantize_per_tensor(m.weights, m.rows, m.cols, scale, pool);
  ASSERT_EQ(out.parts.scale.size(), 1U);
  float max = 0;
  for (std::size_t i = 0; i < m.weights.size(); ++i)
    max = std::max(max, std::fabs(m.weights[i] * scale[i % 37]));
  EXPECT_FLOAT_EQ(out.parts.scale[0], max / 127);
  int largest = 0;
  for (std::size_t i = 0; i < m.weights.size(); ++i) {
    ASSERT_NEAR(out.q[i] * out.parts.scale[0], m.weights[i] * scale[i % 37], out.parts.scale[0] * 0.5001);
    largest = std::max(largest, std::abs(static_cast<int>(out.q[i])));
  }
  EXPECT_EQ(largest, 127);
}

TEST(Quantize, PerRowUsesTheWholeRangeOfEachRow) {
  Matrix m = random_matrix(9, 20, 2);
  for (std::size_t i = 0; i < 20; ++i) m.weights[3 * 20 + i] *= 100;
  std::fill_n(m.weights.begin() + 5 * 20, 20, 0.0F);
  ThreadPool pool(1);
  const QuantizedMatrix out = quantize_per_row(m.weights, m.rows, m.cols, pool);
  ASSERT_EQ(out.parts.scale.size(), 9U);
  for (std::size_t r = 0; r < 9; ++r) {
    int largest = 0;
    for (std::size_t c = 0; c < 20; ++c) {
      largest = std::max(largest, std::abs(static_cast<int>(out.q[r * 20 + c])));
      ASSERT_NEAR(out.q[r * 20 + c] * out.parts.scale[r], m.weights[r * 20 + c], out.parts.scale[r] * 0.5001);
    }
    EXPECT_EQ(largest, r == 5 ? 0 : 127);
  }
  EXPECT_EQ(out.parts.scale[5], 1.0F);  // an all-zero row
}

TEST(Quantize, AllZeroMatrixHasStepOne) {
  ThreadPool pool(1);
  const QuantizedMatrix out = quantize_per_tensor(std::vector<float>(12, 0.0F), 3, 4, {}, pool);
  EXPECT_EQ(out.parts.scale[0], 1.0F);
  EXPECT_THAT(out.q, ::testing::Each(0));
}

void expect_smallest_pruned(const Matrix& m, double sparsity) {
  ThreadPool pool(2);
  std::vector<std::int8_t> q(m.weights.size(), 1);
  prune(m.weights, m.statistics.abs_max, sparsity, q, pool);
  const auto pruned = static_cast<std::size_t>(std::count(q.begin(), q.end(), 0));
  EXPECT_EQ(pruned, static_cast<std::size_t>(sparsity * static_cast<double>(q.size())));
  float largest_pruned = 0;
  float smallest_kept = INFINITY;
  for (std::size_t i = 0; i < q.size(); ++i) {
    const float score = std::fabs(m.weights[i]) * m.statistics.abs_max[i % static_cast<std::size_t>(m.cols)];
    if (q[i] == 0) largest_pruned = std::max(largest_pruned, score);
    if (q[i] != 0) smallest_kept = std::min(smallest_kept, score);
  }
  EXPECT_LE(largest_pruned, smallest_kept);
}

TEST(Prune, ZeroesTheSmallestScoresAndNoOthers) {
  const Matrix m = random_matrix(31, 64, 3);
  for (const double sparsity : {0.0, 0.2, 0.5, 0.99}) expect_smallest_pruned(m, sparsity);
}

TEST(Prune, LargeMatricesEvenWhereEveryFewWeightsAreUnlikeTheOthers) {
  Matrix m = random_matrix(600, 512, 6);
  for (const double sparsity : {0.001, 0.3, 0.999}) expect_smallest_pruned(m, sparsity);
  for (const std::size_t period : {2U, 3U, 4U, 5U, 7U}) {
    Matrix uneven = m;
    for (std::size_t i = 0; i < uneven.weights.size(); i += period) uneven.weights[i] *= 1000;
    expect_smallest_pruned(uneven, 0.3);
  }
}

TEST(StageOne, StaticStepCoversTheCalibrationMaxima) {
  const Matrix m = random_matrix(8, 16, 4);
  ThreadPool pool(1);
  Recipe recipe;
  recipe.activations = ActivationMode::kPerTensorStatic;
  const QuantizedMatrix out = stage_one(m.weights, m.rows, m.cols, m.statistics, recipe, pool);
  float max = 0;
  for (std::size_t j = 0; j < 16; ++j)
    max = std::max(max, m.statistics.abs_max[j] / out.parts.input_scale[j]);
  EXPECT_FLOAT_EQ(out.parts.activation_step, max / 127);
}

TEST(StageOne, AlphaZeroNeedsNoScales) {
  const Matrix m = random_matrix(8, 16, 5);
  ThreadPool pool(1);
  Recipe recipe;
  recipe.alpha = 0;
  EXPECT_TRUE(stage_one(m.weights, m.rows, m.cols, m.statistics, recipe, pool).parts.input_scale.empty());
}

TEST(LoadWeights, SaysWhereAWeightIsNotFinite) {
  ThreadPool pool(2);
  for (const float bad : {NAN, INFINITY, -INFINITY}) {
    std::vector<float> values(300 * 500, 1.0F);
    values[123 * 500 + 45] = bad;
    const TensorView view{"layer.weight",
                          DType::kF32,
                          {300, 500},
                          {reinterpret_cast<const std::uint8_t*>(values.data()), values.size() * 4},
                          "m.safetensors"};
    for (const bool keep : {true, false}) {
      try {
        if (keep) load_weights(view, pool);
        if (!keep) check_finite(view, pool);
        FAIL();
      } catch (const Error& error) {
        EXPECT_THAT(
            error.what(),
            ::testing::AllOf(::testing::HasSubstr("m.safetensors"), ::testing::HasSubstr("layer.weight"),
                             ::testing::HasSubstr("row 123"), ::testing::HasSubstr("column 45")));
      }
    }
  }
}

TEST(Statistics, AreThoseOfTheInput) {
  ThreadPool pool(2);
  StatisticsCollector collector(pool);
  const LinearSpec a{"a", 4, 3, false};
  const LinearSpec b{"b", 2, 3, false};
  const std::vector<float> first = {1, -2, 0, 3, 1, 0};
  const std::vector<float> second = {-4, 0, 0};
  collector.observe(std::array{&a, &b}, first.data(), 2);
  collector.observe(std::array{&a, &b}, second.data(), 1);
  const ChannelStatistics& s = collector.at(b);
  EXPECT_EQ(&s, &collector.at(a));
  EXPECT_EQ(s.tokens, 3);
  EXPECT_THAT(s.abs_max, ::testing::ElementsAre(4, 2, 0));
  EXPECT_THAT(s.mean_abs(), ::testing::ElementsAre(::testing::FloatEq(8.0F / 3), 1, 0));
  EXPECT_THAT(s.l2_norm(), ::testing::ElementsAre(::testing::FloatEq(std::sqrt(26.0F)),
                                                  ::testing::FloatEq(std::sqrt(5.0F)), 0));
  EXPECT_THROW(collector.at(LinearSpec{"c", 1, 3, false}), Error);
}

}  // namespace
}  // namespace twofold
