#include "runtime/model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "base/error.h"
#include "runtime/generate.h"
#include "support/tiny_model.h"

namespace twofold {
namespace {

using testing::TinyModel;

std::vector<std::int32_t> some_tokens(std::size_t count, std::int64_t vocab, std::uint64_t seed = 9) {
  Random random(seed);
  std::vector<std::int32_t> tokens;
  for (std::size_t i = 0; i < count; ++i)
    tokens.push_back(static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(vocab))));
  return tokens;
}

std::vector<float> logits_of(Model& model, const std::vector<std::int32_t>& tokens) {
  KvCache cache(model.spec());
  const Sequence sequence{&cache, tokens};
  return model.forward({&sequence, 1}, Model::Logits::kAll);
}

void expect_close(std::span<const float> found, std::span<const float> expected, double relative) {
  ASSERT_EQ(found.size(), expected.size());
  double scale = 0;
  for (const float x : expected) scale = std::max(scale, std::fabs(static_cast<double>(x)));
  for (std::size_t i = 0; i < found.size(); ++i)
    ASSERT_NEAR(found[i], expected[i], relative * scale) << "at " << i;
}

// Models with reference logits of an independent forward pass, where they are at hand.
TEST(Model, SharedStoryModelsGiveTheirReferenceLogits) {
  const std::filesystem::path shared = TWOFOLD_SHARED_DIR;
  if (!std::filesystem::exists(shared / "models")) GTEST_SKIP() << shared << " is not there";
  for (const char* name : {"stories260k", "tinystories-656k"}) {
    const std::filesystem::path directory = shared / "models" / name;
    std::vector<std::int32_t> ids;
    std::ifstream ids_file(directory / "reference_ids.txt");
    for (std::string word; ids_file >> word;) ids.push_back(std::stoi(word));
    std::vector<float> expected;
    std::ifstream logits_file(directory / "reference_logits_last.txt");
    for (std::string word; logits_file >> word;) expected.push_back(std::stof(word));
    Model model(directory, {.threads = 1});
    KvCache cache(model.spec());
    const Sequence sequence{&cache, ids};
    SCOPED_TRACE(name);
    expect_close(model.forward({&sequence, 1}, Model::Logits::kLast), expected, 1e-3);
  }
}

class Tiny : public ::testing::Test {
 protected:
  std::filesystem::path write(TinyModel model) {
    model.write(directory_ / "model");
    return directory_ / "model";
  }

  std::string error_of(const std::filesystem::path& path) {
    try {
      Model model(path, {.threads = 1});
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  TempDirectory directory_;
};

TEST_F(Tiny, ThreadsDoNotChangeTheResult) {
  const auto path = write({});
  Model one(path, {.threads = 1});
  Model three(path, {.threads = 3});
  const auto tokens = some_tokens(40, 64);
  EXPECT_EQ(logits_of(one, tokens), logits_of(three, tokens));
}

TEST_F(Tiny, TokenByTokenIsThePromptPass) {
  Model model(write({}), {.threads = 2});
  const auto tokens = some_tokens(20, 64);
  const auto all = logits_of(model, tokens);
  KvCache cache(model.spec());
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const Sequence next{&cache, {&tokens[i], 1}};
    expect_close(model.forward({&next, 1}, Model::Logits::kLast), std::span(all).subspan(i * 64, 64), 1e-5);
  }
}

TEST_F(Tiny, SequencesOfABatchDoNotMix) {
  Model model(write({}), {.threads = 2});
  const auto first = some_tokens(17, 64, 1);
  const auto second = some_tokens(33, 64, 2);
  KvCache a(model.spec());
  KvCache b(model.spec());
  const Sequence batch[] = {{&a, first}, {&b, second}};
  const auto together = model.forward(batch, Model::Logits::kAll);
  expect_close(std::span(together).first(17 * 64), logits_of(model, first), 1e-5);
  expect_close(std::span(together).subspan(17 * 64), logits_of(model, second), 1e-5);
}

TEST_F(Tiny, LongPromptsRunInBlocks) {
  TinyModel tiny;
  tiny.positions = 1200;
  Model model(write(tiny), {.threads = 2});
  const auto tokens = some_tokens(1100, 64);
  KvCache cache(model.spec());
  const auto all = logits_of(model, tokens);
  expect_close(prefill(model, cache, tokens), std::span(all).last(64), 1e-4);
}

TEST_F(Tiny, HalfPrecisionWeightsAreUsedAsTheyAre) {
  for (const DType dtype : {DType::kBF16, DType::kF16}) {
    TinyModel half;
    half.dtype = dtype;
    half.write(directory_ / dtype_name(dtype).data());
    TinyModel full = half;
    full.dtype = DType::kF32;
    for (auto& [name, values] : full.weights) {
      for (float& v : values)
        v = dtype == DType::kBF16 ? bf16_to_float(float_to_bf16(v)) : f16_to_float(float_to_f16(v));
    }
    full.write(directory_ / (std::string(dtype_name(dtype)) + "-as-f32"));
    Model a(directory_ / dtype_name(dtype).data(), {.threads = 1});
    Model b(directory_ / (std::string(dtype_name(dtype)) + "-as-f32"), {.threads = 1});
    const auto tokens = some_tokens(12, 64);
    expect_close(logits_of(a, tokens), logits_of(b, tokens), 1e-6);
  }
}

TEST_F(Tiny, TokensOutsideTheVocabularyAndTheContextAreErrors) {
  Model model(write({}), {.threads = 1});
  EXPECT_THROW(logits_of(model, {64}), Error);
  EXPECT_THROW(logits_of(model, {-1}), Error);
  EXPECT_THROW(logits_of(model, some_tokens(65, 64)), Error);
  EXPECT_NO_THROW(logits_of(model, some_tokens(64, 64)));
}

TEST_F(Tiny, MissingTensorAndWrongShapeAreNamed) {
  TinyModel tiny;
  tiny.config_overrides = {{"num_hidden_layers", 3}};
  EXPECT_THAT(error_of(write(tiny)), ::testing::HasSubstr("model.layers.2.input_layernorm.weight"));
  std::filesystem::remove_all(directory_ / "model");
  tiny.config_overrides = {{"intermediate_size", 64}};
  EXPECT_THAT(error_of(write(tiny)),
              ::testing::AllOf(::testing::HasSubstr("model.layers.0.mlp.gate_proj.weight"),
                               ::testing::HasSubstr("64"), ::testing::HasSubstr("48")));
}

TEST_F(Tiny, WeightsQuantizedByAnotherMethodAreRefused) {
  TinyModel tiny;
  tiny.config_overrides = {{"quantization_config", {{"quant_method", "gptq"}, {"bits", 4}}}};
  EXPECT_THAT(error_of(write(tiny)), ::testing::HasSubstr("quantization_config"));
}

TEST_F(Tiny, GenerationStopsAtEosAndAtTheContext) {
  TinyModel tiny;
  tiny.config_overrides = {{"eos_token_id", nullptr}};
  Model model(write(tiny), {.threads = 1});
  Sampler greedy({.temperature = 0});
  std::vector<std::int32_t> tokens;
  const auto keep = [&](std::int32_t token) {
    tokens.push_back(token);
    return true;
  };
  const auto full = generate(model, {1, 5, 9}, 1000, false, greedy, keep);
  EXPECT_EQ(full.end, GenerationStats::End::kContext);
  EXPECT_EQ(full.generated_tokens, 64 - 3 + 1);  // the last one needs no place in the cache

  std::filesystem::remove_all(directory_ / "model");
  tiny.config_overrides = {{"eos_token_id", tokens[5]}};
  Model ending(write(tiny), {.threads = 1});
  const auto first =
      static_cast<std::int64_t>(std::find(tokens.begin(), tokens.end(), tokens[5]) - tokens.begin());
  const auto stopped = generate(ending, {1, 5, 9}, 1000, false, greedy, [](std::int32_t) { return true; });
  EXPECT_EQ(stopped.end, GenerationStats::End::kEos);
  EXPECT_EQ(stopped.generated_tokens, first);
  EXPECT_EQ(generate(ending, {1, 5, 9}, 20, true, greedy, [](std::int32_t) { return true; }).generated_tokens,
            20);
  EXPECT_EQ(generate(ending, {1, 5, 9}, 0, true, greedy, [](std::int32_t) { return true; }).generated_tokens,
            0);
  EXPECT_THROW(generate(ending, {}, 5, true, greedy, keep), Error);
}

}  // namespace
}  // namespace twofold
