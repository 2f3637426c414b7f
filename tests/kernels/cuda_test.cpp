// The kernels for GPUs against the CPU's weights and products: on a GPU, skipped where there is none, and run
// by the CPU (emulated_gpu), where there is no nvcc.

#include <gtest/gtest.h>

#include <functional>
#include <optional>

#include "base/error.h"
#include "base/random.h"
#include "codec/column_classes.h"
#include "kernels/cuda/device.h"

namespace twofold {

std::unique_ptr<GpuMatrix> make_emulated_gpu_matrix(const Decoder& decoder, const GpuChunks& chunks,
                                                    GpuPlace place);
std::unique_ptr<GpuPipeline> make_emulated_gpu_pipeline(std::vector<std::unique_ptr<GpuMatrix>> matrices,
                                                        const GpuPipelineOptions& options);
double time_emulated_gpu_products(std::span<const std::unique_ptr<GpuMatrix>> matrices, int vectors,
                                  int repetitions);
double emulated_gpu_copy_rate(std::size_t bytes, int repetitions);

namespace {

using MakeMatrix = std::unique_ptr<GpuMatrix> (*)(const Decoder&, const GpuChunks&, GpuPlace);

struct Case {
  std::int64_t rows, cols, rows_per_chunk;
  double deviation;
  double zeros = 0;  // share of weights
};

/// A bell of the deviation, in columns whose scale varies, with outliers.
std::vector<std::int8_t> make_weights(const Case& c) {
  Random random(static_cast<std::uint64_t>(c.rows + c.cols));
  std::vector<std::int8_t> weights;
  for (std::int64_t i = 0; i < c.rows * c.cols; ++i) {
    double bell = -6;
    for (int k = 0; k < 12; ++k) bell += random.uniform();
    const double scale =
        c.deviation * (1 + static_cast<double>(i % c.cols % 7) / 2) * (random.below(300) == 0 ? 5 : 1);
    const double value = bell * scale;
    weights.push_back(static_cast<std::int8_t>(value < -127 ? -127 : value > 127 ? 127 : value));
    if (random.uniform() < c.zeros) weights.back() = 0;
  }
  return weights;
}

/// A matrix as a container has it.
struct Coded {
  Case c;
  std::vector<std::int8_t> weights;
  std::unique_ptr<Decoder> decoder;
  std::vector<std::vector<std::uint8_t>> chunks;

  Coded(const Codec& codec, const Case& shape) : c(shape), weights(make_weights(shape)) {
    const std::vector<std::uint8_t> table = codec.make_table(weights, c.cols);
    const auto chunk = static_cast<std::size_t>(c.rows_per_chunk * c.cols);
    for (std::size_t i = 0; i < weights.size(); i += chunk) {
      codec.encode(table, std::span(weights).subspan(i, std::min(chunk, weights.size() - i)), c.cols,
                   chunks.emplace_back());
    }
    decoder = codec.make_decoder(table, c.cols);
  }

  std::unique_ptr<GpuMatrix> upload(MakeMatrix make, GpuPlace place = GpuPlace::kGpu) const {
    const std::vector<std::span<const std::uint8_t>> spans(chunks.begin(), chunks.end());
    return make(*decoder, {c.rows, c.cols, c.rows_per_chunk, spans}, place);
  }
  /// Rows of `stride` weights in the order of the decoder.
  std::vector<std::int8_t> in_order(std::size_t stride) const {
    const auto cols = static_cast<std::size_t>(c.cols);
    std::vector<std::int8_t> result(static_cast<std::size_t>(c.rows) * stride, 0);
    const auto order = decoder->column_order();
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const std::size_t column = order.empty() ? i % cols : static_cast<std::size_t>(order[i % cols]);
      result[i / cols * stride + i % cols] = weights[i / cols * cols + column];
    }
    return result;
  }
};

/// Of a matrix, or of a pipeline's next one.
template <typename Multiplier>
void expect_products(Multiplier& multiplier, const GpuMatrix& matrix, const Coded& coded, int vectors) {
  const auto rows = static_cast<std::size_t>(coded.c.rows);
  const auto cols = static_cast<std::size_t>(coded.c.cols);
  const std::size_t stride = matrix.stride();
  const std::vector<std::int8_t> weights = coded.in_order(stride);
  const auto n = static_cast<std::size_t>(vectors);
  Random random(n);
  std::vector<std::int8_t> x(n * stride, 0);
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (i % stride < cols) x[i] = static_cast<std::int8_t>(static_cast<int>(random.below(255)) - 127);
  }
  std::vector<std::int32_t> sums(n * rows);
  multiplier.multiply(x, vectors, sums);
  for (std::size_t v = 0; v < n; ++v) {
    for (std::size_t row = 0; row < rows; ++row) {
      std::int32_t expected = 0;
      for (std::size_t i = 0; i < cols; ++i) expected += weights[row * stride + i] * x[v * stride + i];
      ASSERT_EQ(sums[v * rows + row], expected) << "vector " << v << " of " << n << ", row " << row;
    }
  }
}

void expect_as_cpu(MakeMatrix make, const char* codec, const Case& c, std::initializer_list<int> vectors) {
  SCOPED_TRACE(testing::Message() << codec << ", " << c.rows << " x " << c.cols << ", " << c.deviation);
  const Coded coded(find_codec(codec), c);
  for (const GpuPlace place : {GpuPlace::kGpu, GpuPlace::kHost}) {
    const std::unique_ptr<GpuMatrix> matrix = coded.upload(make, place);
    std::vector<std::int8_t> decoded(static_cast<std::size_t>(c.rows) * matrix->stride());
    matrix->decode(decoded);
    const std::vector<std::int8_t> expected = coded.in_order(matrix->stride());
    const auto cols = static_cast<std::size_t>(c.cols);
    for (std::size_t i = 0; i < decoded.size(); ++i) {
      if (i % matrix->stride() >= cols) continue;
      ASSERT_EQ(decoded[i], expected[i]) << "row " << i / matrix->stride() << ", " << i % matrix->stride();
    }
    if (place == GpuPlace::kHost) {
      expect_products(*matrix, *matrix, coded, 1);
    } else {
      for (const int n : vectors) expect_products(*matrix, *matrix, coded, n);
    }
  }
}

using MakePipeline = std::unique_ptr<GpuPipeline> (*)(std::vector<std::unique_ptr<GpuMatrix>>,
                                                      const GpuPipelineOptions&);

/// Matrices of all codecs, all on the GPU, some, or none.
void expect_pipelines(MakeMatrix make, MakePipeline make_pipeline, std::int64_t cols) {
  std::vector<Coded> coded;
  for (const char* codec : {"ans", "packed", "raw", "quad", "tiered"}) {
    coded.emplace_back(find_codec(codec), Case{17, cols, 8, 3});
  }
  for (const int kept : {5, 2, 0}) {
    std::vector<std::unique_ptr<GpuMatrix>> matrices;
    for (int i = 0; i < 5; ++i) {
      matrices.push_back(
          coded[static_cast<std::size_t>(i)].upload(make, i < kept ? GpuPlace::kGpu : GpuPlace::kHost));
    }
    const auto pipeline = make_pipeline(std::move(matrices), {2, 1 + kept % 2, 3});
    EXPECT_GT(pipeline->room(), 0u);
    for (std::size_t turn = 0; turn < 7; ++turn) {
      expect_products(*pipeline, pipeline->matrix(), coded[turn % 5], turn % 2 == 0 ? 1 : 3);
    }
  }
}

class Gpu : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (gpus().empty()) GTEST_SKIP() << "no GPU, or a build without CUDA";
  }
};

std::string codec_name(const testing::TestParamInfo<const char*>& parameter) {
  return parameter.param;
}
const auto kCodecs = testing::Values("raw", "packed", "tiered", "quad", "ans");

INSTANTIATE_TEST_SUITE_P(Codecs, Gpu, kCodecs, codec_name);

TEST_P(Gpu, DecodesAndMultipliesAsTheCpuDoes) {
  for (const Case& c : {Case{64, 4096, 16, 3},
                        {37, 1000, 16, 3},
                        {23, 300, 5, 12},
                        {50, 2112, 50, 0.8},
                        {16, 128, 3, 60},
                        {64, 1024, 16, 4, 0.6},
                        {40, 1000, 16, 4, 0.6}}) {
    expect_as_cpu(make_gpu_matrix, GetParam(), c, {1, 2, 4, 7, 8, 9, 33, 64, 130});
  }
}

TEST(GpuPipelines, GiveTheProductsOfTheirMatricesInTurn) {
  if (gpus().empty()) GTEST_SKIP() << "no GPU, or a build without CUDA";
  expect_pipelines(make_gpu_matrix, make_gpu_pipeline, 1000);
}

TEST(GpuBuild, WithoutAGpuAMatrixIsAnError) {
  EXPECT_EQ(gpus().empty(), !why_no_gpu().empty());
  if (!gpus().empty()) GTEST_SKIP() << "there is one";
  const Codec& codec = find_codec("raw");
  const std::vector<std::uint8_t> chunk(64, 1);
  const std::span<const std::uint8_t> span(chunk);
  EXPECT_THROW(make_gpu_matrix(*codec.make_decoder({}, 64), {1, 64, 1, {&span, 1}}), Error);
}

#if defined(TWOFOLD_EMULATED_GPU_TESTS)

class EmulatedGpu : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Codecs, EmulatedGpu, kCodecs, codec_name);

TEST_P(EmulatedGpu, DecodesAndMultipliesAsTheCpuDoes) {
  expect_as_cpu(make_emulated_gpu_matrix, GetParam(), {21, 600, 8, 3}, {1, 11});
  expect_as_cpu(make_emulated_gpu_matrix, GetParam(), {37, 600, 32, 3}, {8, 35});
  expect_as_cpu(make_emulated_gpu_matrix, GetParam(), {18, 256, 18, 12}, {2});
  expect_as_cpu(make_emulated_gpu_matrix, GetParam(), {5, 130, 2, 60}, {1});
  expect_as_cpu(make_emulated_gpu_matrix, GetParam(), {10, 320, 4, 4, 0.6}, {1});
  expect_as_cpu(make_emulated_gpu_matrix, GetParam(), {6, 100, 4, 4, 0.6}, {1});
}

/// A broken chunk is refused when it is copied or decoded, or decodes to what the CPU decodes.
TEST_P(EmulatedGpu, BrokenChunksAreRefusedAsTheCpuDoes) {
  Random random(7);
  int refused = 0;
  for (const Case& c : {Case{12, 260, 6, 3}, Case{16, 320, 16, 3, 0.6}}) {
    Coded coded(find_codec(GetParam()), c);
    const std::vector<std::uint8_t> whole = coded.chunks[0];
    for (int trial = 0; trial < 12; ++trial) {
      std::vector<std::uint8_t>& chunk = coded.chunks[0];
      chunk = whole;
      if (trial % 3 == 0) {
        chunk.resize(random.below(chunk.size()));
      } else {
        for (std::uint64_t i = trial % 3 == 1 ? 1 : random.below(40); i-- > 0;) {
          chunk[random.below(trial % 2 == 0 ? chunk.size() : std::min<std::uint64_t>(chunk.size(), 60))] =
              static_cast<std::uint8_t>(random.next());
        }
      }
      std::vector<std::int8_t> expected(
          static_cast<std::size_t>(std::min(c.rows, c.rows_per_chunk) * c.cols));
      bool good = true;
      try {
        coded.decoder->decode_in_order(chunk, expected);
      } catch (const Error&) {
        good = false;
      }
      try {
        const std::unique_ptr<GpuMatrix> matrix = coded.upload(make_emulated_gpu_matrix);
        const std::size_t stride = matrix->stride();
        std::vector<std::int8_t> decoded(static_cast<std::size_t>(c.rows) * stride);
        matrix->decode(decoded);
        const auto cols = static_cast<std::size_t>(c.cols);
        for (std::size_t i = 0; good && i < expected.size(); ++i) {
          ASSERT_EQ(decoded[i / cols * stride + i % cols], expected[i]) << "trial " << trial << ", " << i;
        }
        // Levels of planes that are longer than what is read from them are not noticed.
        const std::string codec = GetParam();
        EXPECT_TRUE(good || codec == "packed" || codec == "tiered") << "trial " << trial;
      } catch (const Error&) {
        ++refused;
        EXPECT_FALSE(good) << "trial " << trial;
      }
    }
  }
  EXPECT_GT(refused, 5);
}

TEST(EmulatedGpuPipelines, GiveTheProductsOfTheirMatricesInTurn) {
  expect_pipelines(make_emulated_gpu_matrix, make_emulated_gpu_pipeline, 300);
}

TEST(EmulatedGpuTimes, AreTakenOfEveryMatrix) {
  std::vector<std::unique_ptr<GpuMatrix>> matrices;
  const Coded packed(find_codec("packed"), {16, 128, 16, 3});
  const Coded ans(find_codec("ans"), {16, 64, 16, 3});
  matrices.push_back(packed.upload(make_emulated_gpu_matrix));
  matrices.push_back(ans.upload(make_emulated_gpu_matrix));
  EXPECT_GT(time_emulated_gpu_products(matrices, 2, 3), 0);
  EXPECT_GT(emulated_gpu_copy_rate(1 << 10, 2), 0);
}

#endif

}  // namespace
}  // namespace twofold
