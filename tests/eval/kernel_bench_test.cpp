#include "eval/kernel_bench.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "codec/entropy.h"
#include "eval/gpu_bench.h"
#include "kernels/cuda/device.h"

namespace twofold {
namespace {

double entropy(const KernelBenchMatrix& matrix) {
  Histogram histogram{};
  count_values(matrix.weights, histogram);
  return order0_entropy(histogram);
}

TEST(KernelBench, GaussianMatricesHaveTheEntropyAskedFor) {
  for (const double bits : {0.5, 2.3, 3.6, 5.0, 6.5}) {
    EXPECT_NEAR(entropy(gaussian_matrix(256, 512, bits, 0, 1)), bits, 0.03);
    EXPECT_NEAR(entropy(gaussian_matrix(256, 512, bits, 0.6, 1)), bits, 0.03);
  }
  EXPECT_THROW(gaussian_matrix(4, 4, 9, 0, 1), Error);
}

TEST(KernelBench, MeasuresEveryConfigurationAndComparesProducts) {
  KernelBenchOptions options;
  options.codecs = {&find_codec("packed"), &find_codec("tiered"), &find_codec("ans")};
  options.isas = {available_isas().begin(), available_isas().end()};
  options.threads = {1, 2};
  options.tokens = {1, 3};
  options.bytes = 1 << 18;
  options.repetitions = 2;
  double last = 0;
  const KernelBench bench =
      bench_kernels({gaussian_matrix(100, 700, 3.0, 0.5, 1), gaussian_matrix(64, 128, 3.0, 0, 2)}, options,
                    [&](double done) { last = done; });
  EXPECT_EQ(last, 1);
  EXPECT_GE(bench.weights, 1u << 18);
  EXPECT_EQ(bench.figures.size(), 4 * available_isas().size() * 2 * 2);
  EXPECT_THAT(bench.read_bytes_per_second, testing::ElementsAre(testing::Gt(0), testing::Gt(0)));
  for (const KernelFigures& f : bench.figures) {
    EXPECT_GT(f.weights_per_second, 0) << f.codec;
    EXPECT_GT(f.of_bandwidth, 0) << f.codec;
    if (f.codec == "raw") {
      EXPECT_EQ(f.bits_per_weight, 8);
      EXPECT_EQ(f.over_raw, 1);
    } else {
      EXPECT_LT(f.bits_per_weight, 4.5) << f.codec;
    }
  }
}

TEST(KernelBench, NothingToMeasureIsAnError) {
  EXPECT_THROW(bench_kernels({}, {}, [](double) {}), Error);
}

TEST(GpuBench, WithoutAGpuIsAnErrorThatSaysWhy) {
  if (!gpus().empty()) GTEST_SKIP() << "there is a GPU";
  try {
    bench_gpu_kernels({gaussian_matrix(16, 64, 3.0, 0, 1)}, {}, [](double) {});
    FAIL() << "no GPU, but figures";
  } catch (const Error& error) {
    EXPECT_EQ(error.what(), "--device cuda: " + why_no_gpu());
  }
}

}  // namespace
}  // namespace twofold
