#include "eval/model_bench.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compress/compress.h"
#include "eval/size_report.h"
#include "expect_error.h"
#include "support/coded_model.h"
#include "support/tiny_model.h"

namespace twofold {

std::unique_ptr<GpuTransformer> make_emulated_gpu_transformer(const GpuShape& shape);

namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::Gt;
using ::testing::HasSubstr;
using ::testing::Lt;
using testing::TinyModel;

TEST(ModelBench, MedianAndDeviationOfTheRepetitions) {
  Throughput figures;
  figures.tokens_per_second = {10, 40, 20};
  EXPECT_EQ(figures.median(), 20);
  EXPECT_NEAR(figures.deviation(), 15.2753, 1e-4);
  figures.tokens_per_second = {10, 40, 20, 26};
  EXPECT_EQ(figures.median(), 23);
  figures.tokens_per_second = {7};
  EXPECT_EQ(figures.median(), 7);
  EXPECT_EQ(figures.deviation(), 0);
}

TEST(ModelBench, MeasuresWhatWasAskedFor) {
  const TempDirectory directory;
  TinyModel().write(directory / "model");
  Model model(directory / "model", {.threads = 2});
  const ModelBench bench =
      bench_model(model, {.prompt = 20, .generate = 6, .sequences = {1, 3}, .repetitions = 2});
  ASSERT_EQ(bench.prefill.size(), 1U);
  ASSERT_EQ(bench.decode.size(), 2U);
  EXPECT_EQ(bench.prefill[0].tokens, 20);
  EXPECT_EQ(bench.decode[0].sequences, 1);
  EXPECT_EQ(bench.decode[1].sequences, 3);
  for (const Throughput& figures : {bench.prefill[0], bench.decode[0], bench.decode[1]}) {
    EXPECT_EQ(figures.tokens_per_second.size(), 2U);
    EXPECT_THAT(figures.tokens_per_second, Each(Gt(0)));
    EXPECT_THAT(figures.linear_share, AllOf(Gt(0), Lt(1)));
  }
  EXPECT_EQ(bench.decode[1].tokens, 6);
  EXPECT_GT(bench.peak_rss_bytes, bench.weight_bytes_per_pass);
  const ModelBench none = bench_model(model, {.prompt = 0, .generate = 0});
  EXPECT_TRUE(none.prefill.empty());
  EXPECT_TRUE(none.decode.empty());
}

#if defined(TWOFOLD_EMULATED_GPU_TESTS)
TEST(ModelBench, MeasuresAModelOnAGpuWithOneSequence) {
  const TempDirectory directory;
  TinyModel tiny;
  tiny.layers = 1;
  tiny.write(directory / "model");
  testing::write_coded_model(directory / "model", directory / "coded", "raw");
  GpuModel::Options options;
  options.make = make_emulated_gpu_transformer;
  GpuModel model(directory / "coded", options);
  const ModelBench bench = bench_model(model, {.prompt = 3, .generate = 2, .repetitions = 2});
  ASSERT_EQ(bench.prefill.size(), 1U);
  ASSERT_EQ(bench.decode.size(), 1U);
  for (const Throughput& figures : {bench.prefill[0], bench.decode[0]}) {
    EXPECT_EQ(figures.tokens_per_second.size(), 2U);
    EXPECT_THAT(figures.tokens_per_second, Each(Gt(0)));
    EXPECT_FALSE(figures.linear_share);
  }
  EXPECT_EQ(bench.weight_bytes_per_pass, weight_bytes_per_pass(Model(directory / "coded", {.threads = 1})));
  EXPECT_THAT(error_of([&] {
                bench_model(model, {.prompt = 1, .generate = 1, .sequences = {1, 2}});
              }),
              HasSubstr("expected 1 on a GPU"));
}
#endif

TEST(ModelBench, WeightBytesAreTheStoredOnesWithoutTheEmbedding) {
  const TempDirectory directory;
  TinyModel tiny;
  tiny.config_overrides = {{"attention_bias", false}};
  tiny.write(directory / "model");
  tiny.tied = true;
  tiny.write(directory / "tied");
  CompressOptions options;
  options.source = directory / "model";
  options.destination = directory / "small";
  options.calibration.tokens = 16;
  compress_model(options);
  for (const char* name : {"model", "tied", "small"}) {
    const SizeReport sizes = measure_sizes(directory / name);
    std::uint64_t expected = sizes.stored_bytes;
    for (const TensorSize& tensor : sizes.tensors) {
      if (tensor.name == "model.embed_tokens.weight" && name != std::string("tied")) expected -= tensor.bytes;
    }
    const Model model(directory / name, {.threads = 1});
    // The report also counts what the container's index has of plain tensors, 8 to 16 bytes each.
    EXPECT_LE(weight_bytes_per_pass(model), expected) << name;
    EXPECT_GE(weight_bytes_per_pass(model) + (model.compressed() ? 5 * 16 : 0), expected) << name;
  }
}

TEST(ModelBench, NumbersOutOfRangeAreErrors) {
  const TempDirectory directory;
  TinyModel().write(directory / "model");
  Model model(directory / "model", {.threads = 1});
  const auto broken = [&](const ModelBenchOptions& options) {
    return error_of([&] { bench_model(model, options); });
  };
  EXPECT_THAT(broken({.prompt = 65}), AllOf(HasSubstr("prompt"), HasSubstr("64")));
  EXPECT_THAT(broken({.prompt = 1, .generate = 65}), HasSubstr("generate"));
  EXPECT_THAT(broken({.prompt = 1, .generate = 1, .sequences = {0}}), HasSubstr("sequences"));
  EXPECT_THAT(broken({.prompt = 1, .generate = 1, .repetitions = 0}), HasSubstr("repetitions"));
}

}  // namespace
}  // namespace twofold
