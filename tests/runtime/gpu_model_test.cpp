#include "runtime/gpu_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "expect_error.h"
#include "runtime/generate.h"
#include "runtime/logits.h"
#include "support/coded_model.h"
#include "support/tiny_model.h"

namespace twofold {

std::unique_ptr<GpuTransformer> make_emulated_gpu_transformer(const GpuShape& shape);

namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::TinyModel;

const fs::path kArchitectures = fs::path(TWOFOLD_SOURCE_DIR) / "tests/runtime/data/architectures";

/// On a GPU, or on the CPU in its place.
GpuModel::Options options(std::int64_t context = 0, bool half_cache = false) {
  GpuModel::Options result;
  result.context = context;
  result.half_cache = half_cache;
#if defined(TWOFOLD_EMULATED_GPU_TESTS)
  result.make = make_emulated_gpu_transformer;
#endif
  return result;
}

class GpuModels : public ::testing::Test {
 protected:
  void SetUp() override {
#if !defined(TWOFOLD_EMULATED_GPU_TESTS)
    if (gpus().empty()) GTEST_SKIP() << "no GPU, or a build without CUDA";
#endif
  }

  fs::path coded(TinyModel tiny, const std::string& codec) {
    fs::remove_all(directory_ / "original");
    tiny.write(directory_ / "original");
    testing::write_coded_model(directory_ / "original", directory_ / codec, codec);
    return directory_ / codec;
  }

  TempDirectory directory_;
};

/// A prompt and greedy tokens after it: the same as the CPU's, with logits that are near.
void expect_as_cpu(const fs::path& path, const GpuModel::Options& how, std::size_t prompt, int count,
                   float tolerance) {
  Model cpu(path, {.threads = 1});
  GpuModel gpu(path, how);
  std::vector<std::int32_t> tokens;
  const auto vocab = static_cast<std::int32_t>(cpu.spec().vocab_size);
  for (std::size_t i = 0; i < prompt; ++i) tokens.push_back(static_cast<std::int32_t>(i * 7 + 3) % vocab);
  KvCache cache(cpu.spec());
  for (int turn = 0; turn <= count; ++turn) {
    const Sequence sequence{&cache, tokens};
    const std::vector<float> expected = cpu.forward({&sequence, 1}, Model::Logits::kLast);
    const std::vector<float> found = gpu.forward(tokens);
    EXPECT_EQ(gpu.length(), cache.length);
    ASSERT_EQ(found.size(), expected.size());
    float largest = 0;
    for (const float logit : expected) largest = std::max(largest, std::fabs(logit));
    for (std::size_t i = 0; i < found.size(); ++i)
      ASSERT_NEAR(found[i], expected[i], tolerance * largest) << "turn " << turn << ", " << i;
    ASSERT_EQ(argmax(found), argmax(expected)) << "turn " << turn;
    tokens = {argmax(expected)};
  }
}

TEST_F(GpuModels, LogitsAndGreedyTokensAreTheCpus) {
  for (const char* codec : {"raw", "packed", "tiered", "quad", "ans"}) {
    SCOPED_TRACE(codec);
    TinyModel tiny;
    tiny.hidden = 96;
    tiny.intermediate = 136;
    const fs::path path = coded(tiny, codec);
    expect_as_cpu(path, options(), 5, 3, 2e-2F);
  }
}

}  // namespace
}  // namespace twofold
