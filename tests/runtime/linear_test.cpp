#include "runtime/linear.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "support/coded_tensor.h"
#include "support/tiny_model.h"

namespace twofold {
namespace {

using testing::coded_tensor;
using testing::gaussian;

struct Case {
  std::int64_t rows, cols, tokens;
};

const Case kCases[] = {{1, 1, 1},     {5, 3, 2},      {64, 64, 1},   {200, 70, 7},
                       {33, 1000, 3}, {700, 130, 40}, {300, 20, 520}};

std::vector<float> random_floats(std::size_t n, Random& random) {
  std::vector<float> values;
  for (std::size_t i = 0; i < n; ++i) values.push_back(gaussian(random));
  return values;
}

std::vector<std::int8_t> random_weights(std::size_t n, Random& random) {
  std::vector<std::int8_t> weights;
  for (std::size_t i = 0; i < n; ++i)
    weights.push_back(static_cast<std::int8_t>(static_cast<int>(random.below(255)) - 127));
  return weights;
}

std::vector<float> multiply(const Linear& linear, const std::vector<float>& x, std::int64_t tokens,
                            int threads) {
  Workspace workspace(threads);
  std::vector<float> y(static_cast<std::size_t>(tokens * linear.rows()));
  multiply_group(std::array{&linear}, x.data(), tokens, std::array{y.data()}, workspace);
  return y;
}

TEST(Linear, DenseIsTheMatrixProduct) {
  Random random(1);
  for (const auto& [rows, cols, tokens] : kCases) {
    const auto w = random_floats(static_cast<std::size_t>(rows * cols), random);
    const auto x = random_floats(static_cast<std::size_t>(tokens * cols), random);
    const auto bias = random_floats(static_cast<std::size_t>(rows), random);
    const TensorView view{"w",
                          DType::kF32,
                          {rows, cols},
                          {reinterpret_cast<const std::uint8_t*>(w.data()), w.size() * 4},
                          "test"};
    const auto linear = make_dense_linear(view, bias);
    const auto y = multiply(*linear, x, tokens, 2);
    EXPECT_EQ(y, multiply(*linear, x, tokens, 3)) << rows << " rows";
    for (std::int64_t t = 0; t < tokens; ++t) {
      for (std::int64_t r = 0; r < rows; ++r) {
        double sum = bias[static_cast<std::size_t>(r)];
        for (std::int64_t c = 0; c < cols; ++c) {
          sum += static_cast<double>(w[static_cast<std::size_t>(r * cols + c)]) *
                 x[static_cast<std::size_t>(t * cols + c)];
        }
        ASSERT_NEAR(y[static_cast<std::size_t>(t * rows + r)], sum,
                    1e-4 * std::sqrt(static_cast<double>(cols)) + 1e-5);
      }
    }
  }
}

/// What W8A8 is defined to compute, in the same float steps.
std::vector<float> expected_w8a8(const CodedTensor& tensor, const std::vector<std::int8_t>& w,
                                 const std::vector<float>& x, std::int64_t tokens, float static_step) {
  std::vector<float> y;
  for (std::int64_t t = 0; t < tokens; ++t) {
    const float* row = &x[static_cast<std::size_t>(t * tensor.cols)];
    std::vector<float> scaled;
    float max = 0;
    for (std::int64_t c = 0; c < tensor.cols; ++c) {
      const auto i = static_cast<std::size_t>(c);
      scaled.push_back(tensor.input_scale.empty() ? row[i] : row[i] * (1.0F / tensor.input_scale[i]));
      max = std::max(max, std::fabs(scaled.back()));
    }
    const float step = static_step > 0 ? static_step : max / 127.0F;
    for (std::int64_t r = 0; r < tensor.rows; ++r) {
      std::int32_t sum = 0;
      for (std::int64_t c = 0; c < tensor.cols; ++c) {
        const float q = step > 0 ? std::nearbyint(scaled[static_cast<std::size_t>(c)] * (1.0F / step)) : 0.0F;
        sum += static_cast<std::int32_t>(std::clamp(q, -127.0F, 127.0F)) *
               w[static_cast<std::size_t>(r * tensor.cols + c)];
      }
      y.push_back(static_cast<float>(sum) * step *
                  tensor.scale[tensor.scale.size() > 1 ? static_cast<std::size_t>(r) : 0]);
    }
  }
  return y;
}

TEST(Linear, CodedGivesTheIntegersOfItsDefinition) {
  Random random(2);
  for (const char* codec : {"raw", "packed", "tiered", "ans", "ans8"}) {
    for (const auto& [rows, cols, tokens] : kCases) {
      for (const bool per_row : {false, true}) {
        const auto w = random_weights(static_cast<std::size_t>(rows * cols), random);
        const auto x = random_floats(static_cast<std::size_t>(tokens * cols), random);
        auto held = coded_tensor(codec, w, rows, cols, std::max<std::int64_t>(rows / 3, 1));
        held.tensor.scale.assign(static_cast<std::size_t>(per_row ? rows : 1), 0.01F);
        for (std::size_t r = 0; r < held.tensor.scale.size(); ++r)
          held.tensor.scale[r] += 0.001F * static_cast<float>(r % 7);
        if (!per_row) {
          for (std::int64_t c = 0; c < cols; ++c)
            held.tensor.input_scale.push_back(0.5F + 0.25F * static_cast<float>(c % 5));
        }
        for (const float step : {0.0F, 0.02F}) {
          held.tensor.activation_step = step;
          const auto linear = make_coded_linear(
              held.tensor, step > 0 ? ActivationMode::kPerTensorStatic : ActivationMode::kPerToken, {});
          EXPECT_EQ(multiply(*linear, x, tokens, 2), expected_w8a8(held.tensor, w, x, tokens, step));
        }
      }
    }
  }
}

TEST(Linear, ColumnsInClassesMeetTheirActivations) {
  Random random(7);
  constexpr std::int64_t kRows = 60;
  constexpr std::int64_t kCols = 400;
  // Every third column is ten times as wide as the others, so that the encoder sorts them.
  auto w = random_weights(kRows * kCols, random);
  for (std::size_t i = 0; i < w.size(); ++i) {
    if (i % kCols % 3 != 0) w[i] = static_cast<std::int8_t>(w[i] / 10);
  }
  for (const char* codec : {"packed", "tiered"}) {
    auto held = coded_tensor(codec, w, kRows, kCols, 13);
    held.tensor.scale.assign(1, 0.01F);
    ASSERT_FALSE(held.tensor.decoder->column_order().empty()) << codec;
    for (const std::int64_t tokens : {1, 2, 9}) {
      const auto x = random_floats(static_cast<std::size_t>(tokens * kCols), random);
      const auto linear = make_coded_linear(held.tensor, ActivationMode::kPerToken, {});
      EXPECT_EQ(multiply(*linear, x, tokens, 2), expected_w8a8(held.tensor, w, x, tokens, 0)) << codec;
    }
  }
}

TEST(Linear, WeightOnlyModeKeepsTheActivations) {
  Random random(3);
  const std::int64_t rows = 40;
  const std::int64_t cols = 96;
  const auto w = random_weights(static_cast<std::size_t>(rows * cols), random);
  const auto x = random_floats(static_cast<std::size_t>(3 * cols), random);
  auto held = coded_tensor("ans", w, rows, cols, 16);
  held.tensor.scale = {0.01F};
  held.tensor.input_scale.assign(static_cast<std::size_t>(cols), 2.0F);
  const std::vector<float> bias(static_cast<std::size_t>(rows), 0.5F);
  const auto y = multiply(*make_coded_linear(held.tensor, ActivationMode::kNone, bias), x, 3, 2);
  for (std::size_t t = 0; t < 3; ++t) {
    for (std::size_t r = 0; r < static_cast<std::size_t>(rows); ++r) {
      double sum = 0;
      for (std::size_t c = 0; c < static_cast<std::size_t>(cols); ++c) {
        sum += w[r * static_cast<std::size_t>(cols) + c] *
               static_cast<double>(x[t * static_cast<std::size_t>(cols) + c]) / 2.0;
      }
      ASSERT_NEAR(y[t * static_cast<std::size_t>(rows) + r], sum * 0.01 + 0.5, 1e-3);
    }
  }
}

TEST(Linear, GroupOfLayersSharesOneInput) {
  Random random(4);
  const std::int64_t cols = 64;
  const auto wa = random_weights(static_cast<std::size_t>(50 * cols), random);
  const auto wb = random_weights(static_cast<std::size_t>(30 * cols), random);
  const auto x = random_floats(static_cast<std::size_t>(2 * cols), random);
  auto a = coded_tensor("ans", wa, 50, cols, 8);
  auto b = coded_tensor("raw", wb, 30, cols, 30);
  a.tensor.scale = b.tensor.scale = {0.5F};
  b.tensor.input_scale.assign(static_cast<std::size_t>(cols), 4.0F);  // another form of the same input
  const auto la = make_coded_linear(a.tensor, ActivationMode::kPerToken, {});
  const auto lb = make_coded_linear(b.tensor, ActivationMode::kPerToken, {});
  EXPECT_FALSE(la->same_input(*lb));
  std::vector<float> ya(100);
  std::vector<float> yb(60);
  Workspace workspace(3);
  multiply_group(std::array<const Linear*, 2>{la.get(), lb.get()}, x.data(), 2,
                 std::array{ya.data(), yb.data()}, workspace);
  EXPECT_EQ(ya, multiply(*la, x, 2, 1));
  EXPECT_EQ(yb, multiply(*lb, x, 2, 1));
}

TEST(Linear, CodecsThatReadAnInputDifferentlyShareIt) {
  Random random(31);
  const std::int64_t cols = 70;
  const auto w = random_weights(20 * 70, random);
  const auto x = random_floats(70, random);
  std::vector<testing::HeldTensor> held;
  for (const char* codec : {"raw", "packed", "tiered"}) held.push_back(coded_tensor(codec, w, 20, cols, 8));
  std::vector<std::unique_ptr<Linear>> linears;
  for (testing::HeldTensor& tensor : held) {
    tensor.tensor.scale = {0.5F};
    linears.push_back(make_coded_linear(tensor.tensor, ActivationMode::kPerToken, {}));
  }
  const auto expected = multiply(*linears[0], x, 1, 1);
  for (const std::size_t first : {0, 1, 2}) {
    const std::array<const Linear*, 3> group = {linears[first].get(), linears[(first + 1) % 3].get(),
                                                linears[(first + 2) % 3].get()};
    std::vector<float> y[3] = {expected, expected, expected};
    for (auto& values : y) std::fill(values.begin(), values.end(), 0.0F);
    Workspace workspace(1);
    multiply_group(group, x.data(), 1, std::array{y[0].data(), y[1].data(), y[2].data()}, workspace);
    for (const auto& values : y) EXPECT_EQ(values, expected);
  }
}

TEST(Linear, AllZeroInputGivesTheBias) {
  Random random(5);
  const auto w = random_weights(64, random);
  auto held = coded_tensor("ans", w, 8, 8, 8);
  held.tensor.scale = {1.0F};
  const std::vector<float> bias = {0, 1, 2, 3, 4, 5, 6, 7};
  EXPECT_EQ(multiply(*make_coded_linear(held.tensor, ActivationMode::kPerToken, bias),
                     std::vector<float>(8, 0.0F), 1, 1),
            bias);
}

TEST(Embedding, CodedRowsComeBackInTheOrderAsked) {
  Random random(6);
  const auto w = random_weights(100 * 16, random);
  auto held = coded_tensor("ans", w, 100, 16, 7);
  held.tensor.scale.assign(100, 0.0F);
  for (std::size_t r = 0; r < 100; ++r) held.tensor.scale[r] = 0.01F * static_cast<float>(r + 1);
  const std::vector<std::int32_t> ids = {99, 0, 50, 50, 13, 98};
  std::vector<float> out(ids.size() * 16);
  Workspace workspace(1);
  make_coded_embedding(held.tensor)->lookup(ids, out.data(), workspace);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto row = static_cast<std::size_t>(ids[i]);
    for (std::size_t c = 0; c < 16; ++c)
      ASSERT_EQ(out[i * 16 + c], static_cast<float>(w[row * 16 + c]) * held.tensor.scale[row]);
  }
}

TEST(ActivationMode, NamesRoundTripAndUnknownOnesAreErrors) {
  for (const char* name : {"per-token", "per-tensor-static", "none"}) {
    EXPECT_EQ(activation_mode_name(parse_activation_mode(name)), name);
  }
  EXPECT_THROW(parse_activation_mode("per-row"), Error);
}

}  // namespace
}  // namespace twofold
