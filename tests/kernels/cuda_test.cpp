// The kernels on a GPU against the CPU's weights and products. Skipped where there is none.

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/random.h"
#include "codec/column_classes.h"
#include "kernels/cuda/device.h"

namespace twofold {
namespace {

class Gpu : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (gpus().empty()) GTEST_SKIP() << "no GPU, or a build without CUDA";
  }
};

INSTANTIATE_TEST_SUITE_P(Codecs, Gpu, testing::Values("raw", "packed", "tiered", "quad"),
                         [](const auto& parameter) { return std::string(parameter.param); });

/// A bell of the deviation, in columns whose scale varies, with outliers.
std::vector<std::int8_t> make_weights(std::size_t rows, std::size_t cols, double deviation) {
  Random random(rows + cols);
  std::vector<std::int8_t> weights;
  for (std::size_t i = 0; i < rows * cols; ++i) {
    double bell = -6;
    for (int k = 0; k < 12; ++k) bell += random.uniform();
    const double scale =
        deviation * (1 + static_cast<double>(i % cols % 7) / 2) * (random.below(300) == 0 ? 5 : 1);
    const double value = bell * scale;
    weights.push_back(static_cast<std::int8_t>(value < -127 ? -127 : value > 127 ? 127 : value));
  }
  return weights;
}

TEST_P(Gpu, DecodesAndMultipliesAsTheCpuDoes) {
  struct Case {
    std::int64_t rows, cols, rows_per_chunk;
    double deviation;
  };
  for (const Case& c :
       {Case{64, 4096, 16, 3}, {37, 1000, 16, 3}, {23, 300, 5, 12}, {50, 2112, 50, 0.8}, {16, 128, 3, 60}}) {
    SCOPED_TRACE(testing::Message() << c.rows << " x " << c.cols << ", " << c.deviation);
    const auto rows = static_cast<std::size_t>(c.rows);
    const auto cols = static_cast<std::size_t>(c.cols);
    const std::vector<std::int8_t> weights = make_weights(rows, cols, c.deviation);
    const Codec& codec = find_codec(GetParam());
    const std::vector<std::uint8_t> table = codec.make_table(weights, c.cols);
    std::vector<std::vector<std::uint8_t>> coded;
    const auto chunk = static_cast<std::size_t>(c.rows_per_chunk) * cols;
    for (std::size_t i = 0; i < weights.size(); i += chunk) {
      codec.encode(table, std::span(weights).subspan(i, std::min(chunk, weights.size() - i)), c.cols,
                   coded.emplace_back());
    }
    const std::vector<std::span<const std::uint8_t>> chunks(coded.begin(), coded.end());
    const std::unique_ptr<Decoder> decoder = codec.make_decoder(table, c.cols);
    std::unique_ptr<GpuMatrix> matrix;
    try {
      matrix = make_gpu_matrix(*decoder, {c.rows, c.cols, c.rows_per_chunk, chunks});
    } catch (const Error&) {
      ASSERT_STREQ(GetParam(), "tiered");  // zeros apart
      continue;
    }

    std::vector<std::int8_t> in_order(weights.size());
    const auto order = decoder->column_order();
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const std::size_t column = order.empty() ? i % cols : static_cast<std::size_t>(order[i % cols]);
      in_order[i] = weights[i / cols * cols + column];
    }
    const std::size_t stride = matrix->stride();
    std::vector<std::int8_t> decoded(rows * stride);
    matrix->decode(decoded);
    for (std::size_t i = 0; i < weights.size(); ++i) {
      ASSERT_EQ(decoded[i / cols * stride + i % cols], in_order[i]) << "row " << i / cols;
    }

    for (const int vectors : {1, 2, 4, 7, 8}) {
      const auto n = static_cast<std::size_t>(vectors);
      Random random(n);
      std::vector<std::int8_t> x(n * stride, 0);
      for (std::size_t i = 0; i < x.size(); ++i) {
        if (i % stride < cols) x[i] = static_cast<std::int8_t>(static_cast<int>(random.below(255)) - 127);
      }
      std::vector<std::int32_t> sums(n * rows);
      matrix->multiply(x, vectors, sums);
      for (std::size_t v = 0; v < n; ++v) {
        for (std::size_t row = 0; row < rows; ++row) {
          std::int32_t expected = 0;
          for (std::size_t i = 0; i < cols; ++i) expected += in_order[row * cols + i] * x[v * stride + i];
          ASSERT_EQ(sums[v * rows + row], expected) << "vector " << v << " of " << n << ", row " << row;
        }
      }
    }
  }
}

TEST(GpuBuild, WithoutAGpuAMatrixIsAnError) {
  if (!gpus().empty()) GTEST_SKIP() << "there is one";
  const Codec& codec = find_codec("raw");
  const std::vector<std::uint8_t> chunk(64, 1);
  const std::span<const std::uint8_t> span(chunk);
  EXPECT_THROW(make_gpu_matrix(*codec.make_decoder({}, 64), {1, 64, 1, {&span, 1}}), Error);
}

}  // namespace
}  // namespace twofold
