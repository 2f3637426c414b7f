// Recipes other than double compression, from the model's directory to the result's.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "compress/compress.h"
#include "runtime/logits.h"
#include "support/tiny_model.h"

namespace twofold {
namespace {

using testing::TinyModel;

class Best : public ::testing::Test {
 protected:
  Best() {
    TinyModel tiny;
    tiny.hidden = 64;
    tiny.intermediate = 128;
    tiny.write(directory_ / "model");
  }

  CompressOptions options(const std::string& recipe, const std::string& destination) {
    CompressOptions options;
    options.source = directory_ / "model";
    options.destination = directory_ / destination;
    options.recipe = load_recipe(recipe);
    options.calibration.tokens = 512;
    options.threads = 2;
    return options;
  }

  std::vector<float> logits(const std::filesystem::path& path) {
    Model model(path, {.threads = 1});
    const std::vector<std::int32_t> tokens = {1, 7, 30, 12, 63, 5, 44, 9, 21, 3};
    KvCache cache(model.spec());
    const Sequence sequence{&cache, tokens};
    return model.forward({&sequence, 1}, Model::Logits::kAll);
  }

  double divergence_of(const std::filesystem::path& path) {
    const auto reference = logits(directory_ / "model");
    const auto found = logits(path);
    double kl = 0;
    for (std::size_t t = 0; t < 10; ++t) {
      kl +=
          kl_divergence(std::span(reference).subspan(t * 64, 64), std::span(found).subspan(t * 64, 64)) / 10;
    }
    return kl;
  }

  static double bits(const CompressReport& report) {
    return 8.0 * static_cast<double>(report.linear_bytes) / static_cast<double>(report.linear_weights);
  }

  TempDirectory directory_;
};

TEST_F(Best, ComesToTheBitsAskedForAndMoreBitsAreCloser) {
  std::vector<double> divergences;
  for (const double wanted : {3.0, 5.0}) {
    CompressOptions o = options("best", fmt::format("out{}", wanted));
    o.recipe.bits = wanted;
    const CompressReport report = compress_model(o);
    EXPECT_NEAR(bits(report), wanted, 0.4);  // tables and scales are much of so small a model
    divergences.push_back(divergence_of(o.destination));
    const Json recipe = read_json_file(o.destination / "config.json").at("quantization_config");
    EXPECT_EQ(recipe.at("recipe"), "best");
    EXPECT_EQ(recipe.at("quantizer"), "watersic");
    EXPECT_NEAR(recipe.at("bits").get<double>(), bits(report), 1e-9);
  }
  EXPECT_LT(divergences[1], 0.5 * divergences[0]);
}

TEST_F(Best, SameCommandSameBytesWhateverTheThreads) {
  for (const int threads : {1, 3}) {
    CompressOptions o = options("best", "out" + std::to_string(threads));
    o.threads = threads;
    compress_model(o);
  }
  EXPECT_EQ(read_file(directory_ / "out1/model.safetensors"),
            read_file(directory_ / "out3/model.safetensors"));
}

TEST_F(Best, StaysUnderASizeOrADivergence) {
  CompressOptions o = options("best", "small");
  o.target_bytes = 80'000;
  EXPECT_LE(compress_model(o).stored_bytes, 80'000U);
  EXPECT_GT(directory_bytes(o.destination), 72'000U);

  o = options("best", "close");
  o.max_kl = 0.01;
  const CompressReport report = compress_model(o);
  ASSERT_TRUE(report.kl);
  EXPECT_LE(*report.kl, 0.0105);
  EXPECT_GT(*report.kl, 0.005);

  o = options("best", "none");
  o.target_bytes = 1000;
  EXPECT_THROW(compress_model(o), Error);
  EXPECT_FALSE(std::filesystem::exists(o.destination));
}

TEST_F(Best, EveryRecipeWorks) {
  for (const BuiltinRecipe& builtin : builtin_recipes()) {
    const std::string name(builtin.name);
    CompressOptions o = options(name, name);
    o.calibration.tokens = 128;
    const CompressReport report = compress_model(o);
    EXPECT_GT(bits(report), 0) << name;
    EXPECT_LT(bits(report), 18) << name;
    const double kl = divergence_of(o.destination);
    EXPECT_GT(kl, 0) << name;
    EXPECT_LT(kl, 1) << name;
  }
}

}  // namespace
}  // namespace twofold
