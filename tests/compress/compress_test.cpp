#include "compress/compress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "runtime/logits.h"
#include "support/tiny_model.h"

namespace twofold {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

using testing::TinyModel;

class Compress : public ::testing::Test {
 protected:
  CompressOptions options(const std::string& destination = "out") {
    CompressOptions options;
    options.source = directory_ / "model";
    options.destination = directory_ / destination;
    options.calibration.tokens = 256;
    options.threads = 2;
    return options;
  }

  std::string error_of(const CompressOptions& options) {
    try {
      compress_model(options);
    } catch (const Error& error) {
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
      return error.what();
    }
    return "";
  }

  /// Names left in the test's directory.
  std::vector<std::string> files() {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory_.path())) {
      names.push_back(entry.path().filename().string());
    }
    return names;
  }

  std::vector<float> logits(const std::filesystem::path& path) {
    Model model(path, {.threads = 2});
    const std::vector<std::int32_t> tokens = {1, 7, 30, 12, 63, 5, 44, 9, 21, 3};
    KvCache cache(model.spec());
    const Sequence sequence{&cache, tokens};
    return model.forward({&sequence, 1}, Model::Logits::kAll);
  }

  TempDirectory directory_;
};

TEST_F(Compress, ResultComputesNearlyWhatTheOriginalDoes) {
  TinyModel tiny;
  tiny.write(directory_ / "model");
  const auto expected = logits(directory_ / "model");
  for (const char* activations : {"per-token", "per-tensor-static", "none"}) {
    for (const bool tied : {false, true}) {
      TinyModel variant;
      variant.tied = tied;
      std::filesystem::remove_all(directory_ / "model");
      variant.write(directory_ / "model");
      const auto reference = logits(directory_ / "model");
      CompressOptions o = options("out-" + std::string(activations) + (tied ? "-tied" : ""));
      o.recipe.activations = parse_activation_mode(activations);
      const CompressReport report = compress_model(o);
      EXPECT_EQ(report.stored_bytes, directory_bytes(o.destination));
      EXPECT_GE(report.calibration_tokens, 256);
      const auto found = logits(o.destination);
      double kl = 0;
      for (std::size_t t = 0; t < 10; ++t) {
        kl += kl_divergence(std::span(reference).subspan(t * 64, 64), std::span(found).subspan(t * 64, 64)) /
              10;
      }
      EXPECT_LT(kl, 0.02) << activations << " tied " << tied;
      EXPECT_NE(found, reference);
    }
  }
}

TEST_F(Compress, CodecsStoreTheSameWeights) {
  TinyModel().write(directory_ / "model");
  CompressOptions o = options("raw");
  o.recipe.codec = "raw";
  compress_model(o);
  const auto raw = logits(o.destination);
  for (const char* codec : {"ans", "zstd", "lz4", "snappy", "deflate"}) {
    o = options(codec);
    o.recipe.codec = codec;
    compress_model(o);
    EXPECT_EQ(logits(o.destination), raw) << codec;
    Container(o.destination).verify([](std::uint64_t) {});
  }
}

TEST_F(Compress, SameCommandSameBytesWhateverTheThreads) {
  TinyModel().write(directory_ / "model");
  for (const int threads : {1, 3}) {
    CompressOptions o = options("out" + std::to_string(threads));
    o.threads = threads;
    compress_model(o);
  }
  for (const char* file : {"model.safetensors", "config.json"}) {
    EXPECT_EQ(read_file(directory_ / "out1" / file), read_file(directory_ / "out3" / file)) << file;
  }
}

TEST_F(Compress, SparsityPrunesEveryDecoderLinear) {
  TinyModel().write(directory_ / "model");
  CompressOptions o = options();
  o.recipe.sparsity = 0.5;
  compress_model(o);
  const Container container(o.destination);
  for (const auto& [name, tensor] : container.coded()) {
    std::vector<std::int8_t> q(static_cast<std::size_t>(tensor.rows * tensor.cols));
    ASSERT_EQ(tensor.chunks(), 1);
    tensor.decode_chunk(0, q);
    const auto zeros = static_cast<std::size_t>(std::count(q.begin(), q.end(), 0));
    if (name.starts_with("model.layers.")) {
      EXPECT_GE(zeros, q.size() / 2) << name;
    }
    if (!name.starts_with("model.layers.")) {
      EXPECT_LT(zeros, q.size() / 10) << name;
    }
  }
}

TEST_F(Compress, SkippedTensorsStayAsTheyWere) {
  TinyModel tiny;
  tiny.dtype = DType::kBF16;
  tiny.write(directory_ / "model");
  CompressOptions o = options();
  o.recipe.skip = {"lm_head*", "model.layers.0.*"};
  compress_model(o);
  const Container container(o.destination);
  const Checkpoint source(o.source);
  EXPECT_FALSE(container.coded().contains("lm_head.weight"));
  EXPECT_TRUE(container.coded().contains("model.layers.1.mlp.up_proj.weight"));
  for (const char* name : {"lm_head.weight", "model.layers.0.mlp.up_proj.weight", "model.norm.weight"}) {
    const auto& stored = container.plain().at(name);
    EXPECT_TRUE(std::ranges::equal(stored.bytes, source.at(name).bytes)) << name;
    EXPECT_EQ(stored.dtype, DType::kBF16);
  }
}

TEST_F(Compress, RecipeAndProvenanceAreRecorded) {
  TinyModel().write(directory_ / "model");
  std::ofstream(directory_ / "model" / "tokenizer_config.json") << "{}";
  std::ofstream(directory_ / "model" / "pytorch_model.bin") << "not copied";
  CompressOptions o = options();
  o.recipe.sparsity = 0.25;
  o.recipe.alpha = 0.7;
  compress_model(o);
  const Json config = read_json_file(o.destination / "config.json");
  const Json& recipe = config.at("quantization_config");
  EXPECT_EQ(recipe.at("quant_method"), "twofold");
  EXPECT_EQ(recipe.at("alpha"), 0.7);
  EXPECT_EQ(recipe.at("sparsity"), 0.25);
  EXPECT_EQ(recipe.at("codec"), "ans");
  EXPECT_EQ(recipe.at("calibration").at("source"), "self");
  EXPECT_EQ(recipe.at("calibration").at("xxh3").get<std::string>().size(), 16U);
  EXPECT_EQ(config.at("hidden_size"), 32);
  EXPECT_TRUE(std::filesystem::exists(o.destination / "tokenizer_config.json"));
  EXPECT_FALSE(std::filesystem::exists(o.destination / "pytorch_model.bin"));
}

TEST_F(Compress, StatisticsCanBeSaved) {
  TinyModel().write(directory_ / "model");
  CompressOptions o = options();
  o.statistics = directory_ / "statistics.safetensors";
  compress_model(o);
  const SafetensorsFile file(o.statistics);
  EXPECT_EQ(file.tensors().size(), 2U * 7 * 3);
  const TensorView& maxima = file.tensors().at("model.layers.1.mlp.down_proj.abs_max");
  EXPECT_EQ(maxima.shape, std::vector<std::int64_t>{48});
  std::vector<float> values(48);
  to_float(DType::kF32, maxima.bytes, values);
  EXPECT_THAT(values, ::testing::Each(::testing::Gt(0.0F)));
}

TEST_F(Compress, AlphaAutoTakesTheBestRatioUnderTheLimit) {
  TinyModel().write(directory_ / "model");
  CompressOptions o = options();
  o.auto_alpha = true;
  o.max_kl = 1.0;
  const CompressReport loose = compress_model(o);
  ASSERT_EQ(loose.alphas.size(), 11U);
  for (const AlphaPoint& point : loose.alphas) {
    EXPECT_GT(point.kl, 0);
    if (point.kl <= 1.0) {
      EXPECT_GE(point.bits_per_weight, best_alpha(loose.alphas, 1.0).bits_per_weight);
    }
  }
  EXPECT_EQ(loose.recipe.alpha, best_alpha(loose.alphas, 1.0).alpha);

  o = options("none");
  o.auto_alpha = true;
  o.max_kl = 0;
  EXPECT_THAT(error_of(o), HasSubstr("--max-kl"));
  EXPECT_THAT(files(), ::testing::UnorderedElementsAre("model", "out"));
}

TEST_F(Compress, SearchPredictsWhatCompressionThenStores) {
  TinyModel().write(directory_ / "model");
  CompressOptions o = options();
  o.auto_alpha = true;
  o.recipe.sparsity = 0.3;
  o.max_kl = 1e9;
  const CompressReport report = compress_model(o);
  const Container container(o.destination);
  const double predicted = best_alpha(report.alphas, 1e9).bits_per_weight;
  EXPECT_LT(predicted,
            8.0 * static_cast<double>(report.linear_bytes) / static_cast<double>(report.linear_weights));
}

TEST_F(Compress, ChannelThatIsAlwaysZeroWorks) {
  TinyModel tiny;
  tiny.write(directory_ / "first");
  for (std::size_t i = 0; i < 64; ++i) tiny.weights.at("model.embed_tokens.weight")[i * 32 + 5] = 0;
  for (auto& [name, values] : tiny.weights) {
    const bool writes_hidden = name.ends_with("o_proj.weight") || name.ends_with("down_proj.weight");
    if (writes_hidden)
      std::fill_n(values.begin() + static_cast<std::ptrdiff_t>(5 * values.size() / 32), values.size() / 32,
                  0.0F);
  }
  tiny.write(directory_ / "model");
  const auto reference = logits(directory_ / "model");
  compress_model(options());
  const auto found = logits(directory_ / "out");
  for (const float x : found) ASSERT_TRUE(std::isfinite(x));
  EXPECT_LT(kl_divergence(std::span(reference).first(64), std::span(found).first(64)), 0.05);
}

TEST_F(Compress, BadInputsAreOneLineAndLeaveNothing) {
  TinyModel tiny;
  tiny.write(directory_ / "model");
  std::filesystem::create_directory(directory_ / "there");
  EXPECT_THAT(error_of(options("there")), AllOf(HasSubstr("there"), HasSubstr("exists")));
  std::filesystem::remove(directory_ / "there");

  CompressOptions o = options();
  std::ofstream(directory_ / "empty.txt") << "";
  o.calibration.source = directory_ / "missing.txt";
  EXPECT_THAT(error_of(o), HasSubstr("missing.txt"));
  o = options();
  o.source = directory_ / "nowhere";
  EXPECT_THAT(error_of(o), HasSubstr("nowhere"));
  o = options();
  o.destination = directory_ / "no" / "such" / "parent";
  EXPECT_THAT(error_of(o), HasSubstr("such"));
  o = options();
  o.recipe.codec = "zip";
  EXPECT_THAT(error_of(o), AllOf(HasSubstr("--codec"), HasSubstr("ans")));
  o = options();
  o.recipe.sparsity = 1.0;
  EXPECT_THAT(error_of(o), HasSubstr("--sparsity"));
  o = options();
  o.recipe.alpha = -0.1;
  EXPECT_THAT(error_of(o), HasSubstr("--alpha"));
  std::filesystem::remove(directory_ / "empty.txt");
  EXPECT_THAT(files(), ::testing::UnorderedElementsAre("model"));
}

TEST_F(Compress, BrokenWeightsAreNamedAndLeaveNothing) {
  for (const char* name : {"model.layers.1.mlp.down_proj.weight", "model.embed_tokens.weight",
                           "lm_head.weight", "model.norm.weight"}) {
    TinyModel tiny;
    tiny.write(directory_ / "scratch");
    tiny.weights.at(name)[17] = NAN;
    tiny.write(directory_ / "model");
    EXPECT_THAT(error_of(options()),
                AllOf(HasSubstr("model.safetensors"), HasSubstr(name), HasSubstr("nan")));
    std::filesystem::remove_all(directory_ / "model");
    std::filesystem::remove_all(directory_ / "scratch");
    EXPECT_THAT(files(), ::testing::IsEmpty());
  }
}

TEST_F(Compress, TwofoldDirectoryIsNotCompressedAgain) {
  TinyModel().write(directory_ / "model");
  compress_model(options());
  CompressOptions o = options("again");
  o.source = directory_ / "out";
  EXPECT_THAT(error_of(o), HasSubstr("compressed already"));
}

// The demo model: a trained one, with its tokenizer, calibrated on a text.
TEST_F(Compress, DemoModelKeepsItsPredictions) {
  CompressOptions o = options();
  o.source = std::filesystem::path(TWOFOLD_SOURCE_DIR) / "demo" / "books-llama-8m";
  std::ofstream(directory_ / "text.txt")
      << "It was the best of times, it was the worst of times, and the old man went down "
         "to the sea with his dog, where the ships lay at anchor in the evening light.";
  o.calibration.source = directory_ / "text.txt";
  const CompressReport report = compress_model(o);
  EXPECT_LT(report.linear_bytes, report.linear_weights * 0.85);
  EXPECT_LT(report.stored_bytes, report.source_bytes / 2);
  Model original(o.source, {.threads = 2});
  Model compressed(o.destination, {.threads = 2});
  const std::vector<std::int32_t> tokens = {1, 300, 500, 700, 900, 1100, 1300, 1500};
  KvCache a(original.spec());
  KvCache b(compressed.spec());
  const Sequence sa{&a, tokens};
  const Sequence sb{&b, tokens};
  const auto expected = original.forward({&sa, 1}, Model::Logits::kAll);
  const auto found = compressed.forward({&sb, 1}, Model::Logits::kAll);
  for (std::size_t t = 0; t < tokens.size(); ++t) {
    EXPECT_LT(
        kl_divergence(std::span(expected).subspan(t * 4096, 4096), std::span(found).subspan(t * 4096, 4096)),
        0.05);
  }
}

}  // namespace
}  // namespace twofold
