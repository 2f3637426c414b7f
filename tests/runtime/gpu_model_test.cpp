#include "runtime/gpu_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "expect_error.h"
#include "runtime/generate.h"
#include "runtime/logits.h"
#include "support/architectures.h"
#include "support/coded_model.h"
#include "support/tiny_model.h"

namespace twofold {

std::unique_ptr<GpuTransformer> make_emulated_gpu_transformer(const GpuShape& shape);

namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::TinyModel;

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
    setenv("TWOFOLD_ISA", "scalar", 0);  // unless it is chosen already
#if !defined(TWOFOLD_EMULATED_GPU_TESTS)
    if (gpus().empty()) GTEST_SKIP() << "no GPU, or a build without CUDA";
#endif
  }

  fs::path coded(TinyModel tiny, const std::string& codec, const testing::CodedModelOptions& how = {}) {
    const fs::path path = directory_ / std::to_string(++models_);
    tiny.write(path / "original");
    testing::write_coded_model(path / "original", path / "coded", codec, how);
    return path / "coded";
  }
  fs::path coded(const std::string& architecture, const std::string& codec) {
    const fs::path path = directory_ / architecture;
    testing::write_coded_model(testing::architecture(architecture), path, codec);
    return path;
  }

  TempDirectory directory_;
  int models_ = 0;
};

/// Of logits, to the largest. Where sums have another order than those of the CPU's scalar loops, or are
/// fused with products as on a GPU, an activation that lies between two integers may be rounded the other
/// way, which is seen in models of so few channels.
float tolerance() {
#if defined(TWOFOLD_EMULATED_GPU_TESTS)
  if (active_isa() == Isa::kScalar) return 1e-5F;
#endif
  return 0.15F;
}

/// A prompt and greedy tokens after it: the same as the CPU's where the tolerance leaves no doubt, with
/// logits that are near.
void expect_as_cpu(const fs::path& path, const GpuModel::Options& how, std::size_t prompt, int count,
                   float most) {
  Model cpu(path, {.threads = 1});
  GpuModel gpu(path, how);
  std::vector<std::int32_t> tokens;
  const auto vocab = static_cast<std::int32_t>(cpu.spec().vocab_size);
  for (std::size_t i = 0; i < prompt; ++i) tokens.push_back(static_cast<std::int32_t>(i * 7 + 3) % vocab);
  KvCache cache(cpu.spec());
  int clear = 0;
  for (int turn = 0; turn <= count; ++turn) {
    const Sequence sequence{&cache, tokens};
    const std::vector<float> expected = cpu.forward({&sequence, 1}, Model::Logits::kLast);
    const std::vector<float> found = gpu.forward(tokens);
    EXPECT_EQ(gpu.length(), cache.length);
    ASSERT_EQ(found.size(), expected.size());
    float largest = 0;
    for (const float logit : expected) largest = std::max(largest, std::fabs(logit));
    for (std::size_t i = 0; i < found.size(); ++i)
      ASSERT_NEAR(found[i], expected[i], most * largest) << "turn " << turn << ", " << i;
    std::vector<float> sorted = expected;
    std::sort(sorted.rbegin(), sorted.rend());
    if (sorted[0] - sorted[1] > 2 * most * largest) {
      ++clear;
      ASSERT_EQ(argmax(found), argmax(expected)) << "turn " << turn;
    }
    tokens = {argmax(expected)};
  }
  if (most < 1e-3F) {
    EXPECT_EQ(clear, count + 1);
  }
}

TEST_F(GpuModels, LogitsAndGreedyTokensAreTheCpus) {
  for (const char* codec : {"packed", "quad", "ans"}) {
    SCOPED_TRACE(codec);
    TinyModel tiny;
    tiny.hidden = 96;
    tiny.intermediate = 70;
    tiny.layers = 1;
    // Columns of several classes, which codecs put in an order of their own.
    expect_as_cpu(coded(tiny, codec, {.input_scales = true}), options(), 1, 1, tolerance());
  }
}

TEST_F(GpuModels, PromptsInBlocksAndAHeadThatIsNotCoded) {
  for (const DType type : {DType::kF32, DType::kF16, DType::kBF16}) {
    TinyModel tiny;
    tiny.dtype = type;
    tiny.tied = type == DType::kBF16;
    GpuModel::Options blocks = options(20);
    blocks.block_tokens = 4;
    expect_as_cpu(coded(tiny, "packed", {.plain_head = true}), blocks, 7, 1, tolerance());
  }
}

TEST_F(GpuModels, PromptsThatAreMultipliedFromDecodedWeights) {
  TinyModel tiny;
  tiny.layers = 1;
  expect_as_cpu(coded(tiny, "packed"), options(), 35, 1, tolerance());
}

TEST_F(GpuModels, HalvesInTheCacheChangeLittle) {
  expect_as_cpu(coded(TinyModel{}, "packed"), options(0, true), 9, 2, std::max(2e-2F, tolerance()));
}

TEST_F(GpuModels, WindowsBiasesNormsOfHeadsAndFusedLinears) {
  for (const char* architecture : {"mistral", "qwen2", "qwen3", "phi3"}) {
    SCOPED_TRACE(architecture);
    const bool window = std::string_view(architecture) == "mistral";  // of 7
    expect_as_cpu(coded(architecture, "raw"), options(), window ? 8 : 3, 1, tolerance());
  }
}

TEST_F(GpuModels, GenerateAsTheCpuDoes) {
  const fs::path path = coded(TinyModel{}, "packed");
  std::vector<std::int32_t> found, expected;
  const auto collect = [](std::vector<std::int32_t>& to) {
    return [&](std::int32_t token) {
      to.push_back(token);
      return true;
    };
  };
  Sampler greedy({.temperature = 0});
  Model cpu(path, {.threads = 1, .context = 8});
  GpuModel gpu(path, options(8));
  for (const std::int64_t count : {3, 20}) {  // the second ends with the context
    const auto as = generate(cpu, {3, 5, 9}, count, true, greedy, collect(expected));
    const auto stats = generate(gpu, {3, 5, 9}, count, true, greedy, collect(found));
    EXPECT_EQ(stats.end, as.end);
    EXPECT_EQ(stats.decode_passes, as.decode_passes);
    EXPECT_EQ(found, expected);
  }
}

TEST_F(GpuModels, TokensBeyondVocabularyAndContextAreRefused) {
  const fs::path path = coded(TinyModel{}, "raw");
  GpuModel gpu(path, options(4));
  EXPECT_EQ(gpu.spec().max_positions, 4);
  const auto forward = [&](std::vector<std::int32_t> tokens) {
    return [&gpu, tokens] { gpu.forward(tokens); };
  };
  EXPECT_THAT(error_of(forward({3, 64})), HasSubstr("token id 64 is outside"));
  EXPECT_THAT(error_of(forward({})), HasSubstr("no tokens"));
  gpu.forward(std::vector<std::int32_t>{3, 4, 5});
  EXPECT_THAT(error_of(forward({6, 7})), HasSubstr("5 tokens does not fit the model's context of 4"));
  gpu.forward(std::vector<std::int32_t>{6});
  EXPECT_THAT(error_of(forward({7})), HasSubstr("does not fit"));
  gpu.clear();
  gpu.forward(std::vector<std::int32_t>{7});
  EXPECT_EQ(gpu.length(), 1);
}

TEST_F(GpuModels, AChunkThatDoesNotMatchItsChecksumIsRefused) {
  const fs::path path = coded(TinyModel{}, "packed");
  std::uint64_t place = 0;
  {
    const Container container(path);
    const auto chunk = container.coded().at("model.layers.1.mlp.up_proj.weight").chunk_bytes(0);
    std::ifstream in(path / "model.safetensors", std::ios::binary);
    const std::string file((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    place = file.find(std::string(reinterpret_cast<const char*>(chunk.data()), chunk.size())) + 9;
  }
  std::fstream file(path / "model.safetensors", std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>(place)).put('\x5a');
  file.close();
  EXPECT_THAT(
      error_of([&] { GpuModel(path, options()); }),
      AllOf(HasSubstr("model.layers.1.mlp.up_proj.weight"), HasSubstr("chunk 0"), HasSubstr("checksum")));
}

TEST_F(GpuModels, OtherArchitecturesAreRefusedByName) {
  const auto refused = [&](const fs::path& path) { return error_of([&] { GpuModel(path, options()); }); };
  EXPECT_THAT(refused(testing::architecture("mistral")), HasSubstr("this is an original model"));
  for (const auto& [architecture, what] : {std::pair{"mixtral", "a mixture of experts"},
                                           {"opt", "learned positions"},
                                           {"falcon-rw", "linear biases"},
                                           {"gemma", "not gated by SiLU"},
                                           {"gpt-neox", "LayerNorm"},
                                           {"llama-dynamic", "depends on the text's length"}}) {
    const std::string error = refused(coded(architecture, "raw"));
    EXPECT_THAT(error, AllOf(HasSubstr("the GPU computes models"), HasSubstr(what)));
  }
}

TEST(GpuModelBuild, WithoutAGpuTheReasonIsTheError) {
  if (!gpus().empty()) GTEST_SKIP() << "there is one";
  TempDirectory directory;
  TinyModel tiny;
  tiny.write(directory / "original");
  testing::write_coded_model(directory / "original", directory / "coded", "raw");
  EXPECT_EQ(error_of([&] { GpuModel(directory / "coded", {}); }), why_no_gpu());
}

}  // namespace
}  // namespace twofold
