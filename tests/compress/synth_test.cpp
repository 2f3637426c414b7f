#include "compress/synth.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "compress/synth_random.h"
#include "compress/synth_shapes.h"
#include "expect_error.h"
#include "format/container.h"
#include "runtime/generate.h"
#include "support/tiny_model.h"
#include "text/tokenizer.h"

namespace twofold {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using testing::TinyModel;

double log_deviation(std::vector<float> values) {
  double mean = 0;
  double squares = 0;
  for (const float value : values) mean += std::log(value) / static_cast<double>(values.size());
  for (const float value : values) squares += std::pow(std::log(value) - mean, 2);
  return std::sqrt(squares / static_cast<double>(values.size()));
}

TEST(SynthRandom, ChannelsAndRowsSpreadAndTailsAreHeavyAsInRealMatrices) {
  constexpr std::size_t kRows = 1500;
  constexpr std::size_t kCols = 1024;
  const SynthMatrix matrix(3, "weight", kCols);
  std::vector<float> w(kRows * kCols);
  for (std::size_t i = 0; i < kRows; ++i) matrix.row(static_cast<std::int64_t>(i), &w[i * kCols]);
  std::vector<float> rows(kRows);
  std::vector<float> cols(kCols);
  double sum = 0;
  double squares = 0;
  const auto size = [&](double total, std::size_t n) {
    return static_cast<float>(std::sqrt(total / static_cast<double>(n)));
  };
  for (std::size_t j = 0; j < kCols; ++j) {
    double total = 0;
    for (std::size_t i = 0; i < kRows; ++i) total += static_cast<double>(w[i * kCols + j]) * w[i * kCols + j];
    cols[j] = size(total, kRows);
    squares += total;
  }
  EXPECT_NEAR(log_deviation(cols), 0.10, 0.02);
  EXPECT_NEAR(size(squares * kCols, w.size()), 0.7 * std::exp(0.10 * 0.10 + 0.16 * 0.16), 0.02);
  for (std::size_t i = 0; i < kRows; ++i) {
    double total = 0;
    for (std::size_t j = 0; j < kCols; ++j) total += std::pow(w[i * kCols + j] / cols[j], 2);
    rows[i] = size(total, kCols);
  }
  EXPECT_NEAR(log_deviation(rows), 0.16, 0.02);
  double fourth = 0;
  for (std::size_t i = 0; i < w.size(); ++i) {
    const double x = w[i] / rows[i / kCols] / cols[i % kCols];
    sum += x;
    fourth += x * x * x * x;
  }
  EXPECT_NEAR(sum / static_cast<double>(w.size()), 0, 0.005);
  EXPECT_NEAR(fourth / static_cast<double>(w.size()), 3.6, 0.15);
}

TEST(SynthRandom, AFewChannelsBehindANormAreOutliersAndProductsSpread) {
  constexpr std::size_t kChannels = 4096;
  std::vector<float> normed = synth_channel_maxima(1, "norm", SynthInput::kNormed, kChannels);
  EXPECT_EQ(normed, synth_channel_maxima(1, "norm", SynthInput::kNormed, kChannels));
  EXPECT_NE(normed, synth_channel_maxima(2, "norm", SynthInput::kNormed, kChannels));
  EXPECT_NE(normed, synth_channel_maxima(1, "other", SynthInput::kNormed, kChannels));
  const auto outliers = std::count_if(normed.begin(), normed.end(), [](float x) { return x > 2.5F; });
  EXPECT_NEAR(static_cast<double>(outliers) / kChannels, 0.004, 0.001);
  std::sort(normed.begin(), normed.end());
  EXPECT_NEAR(normed[kChannels / 2], 1, 0.02);
  normed.resize(kChannels * 99 / 100);
  EXPECT_NEAR(log_deviation(normed), 0.10, 0.01);
  EXPECT_NEAR(log_deviation(synth_channel_maxima(1, "o", SynthInput::kProduct, kChannels)), 0.4, 0.02);
}

class Synth : public ::testing::Test {
 protected:
  Synth() {
    TinyModel tiny;
    tiny.hidden = 256;
    tiny.intermediate = 640;
    tiny.layers = 3;
    tiny.vocab = 300;
    config_ = tiny.config();
    write_config();
  }

  void write_config() {
    std::ofstream(directory_ / "config.json") << config_.dump();
    options_.like = (directory_ / "config.json").string();
    options_.layers = 1;
  }

  SynthReport make(const std::string& name) {
    options_.destination = directory_ / name;
    return synthesize_model(options_);
  }

  std::string weights(const std::string& name) { return read_file(directory_ / name / "model.safetensors"); }

  TempDirectory directory_;
  nlohmann::json config_;
  SynthOptions options_;
};

TEST_F(Synth, TheContainerIsSoundAndHasTheShapeThatWasAskedFor) {
  const SynthReport report = make("out");
  const Container container(directory_ / "out");
  container.verify([](std::uint64_t) {});
  const ModelSpec spec = load_model_spec(directory_ / "out");
  ASSERT_EQ(spec.layers.size(), 1U);
  EXPECT_EQ(spec.hidden_size, 256);
  std::uint64_t parameters = 0;
  for (const auto& [name, tensor] : container.coded())
    parameters += static_cast<std::uint64_t>(tensor.rows * tensor.cols);
  for (const auto& [name, tensor] : container.plain())
    parameters += static_cast<std::uint64_t>(tensor.elements());
  EXPECT_EQ(report.parameters, parameters);
  EXPECT_EQ(report.linear_weights, 256U * (256 + 128 + 128 + 256) + 3U * 256 * 640);
  EXPECT_EQ(report.stored_bytes, directory_bytes(directory_ / "out"));
}

TEST_F(Synth, DcUsesTheWholeRangeOfInt8AndItsScales) {
  make("out");
  const Container container(directory_ / "out");
  for (const LayerSpec& layer : load_model_spec(directory_ / "out").layers) {
    const CodedTensor& q = container.coded().at(layer.attention.qkv[0].weight());
    EXPECT_EQ(q.input_scale, container.coded().at(layer.attention.qkv[1].weight()).input_scale);
    EXPECT_NE(q.input_scale, container.coded().at(layer.feed_forward.in[0].weight()).input_scale);
    std::vector<std::int8_t> weights(static_cast<std::size_t>(q.rows * q.cols));
    for (std::int64_t chunk = 0; chunk < q.chunks(); ++chunk) {
      q.decode_chunk(chunk,
                     std::span(weights).subspan(static_cast<std::size_t>(q.chunk_begin(chunk) * q.cols),
                                                static_cast<std::size_t>(q.chunk_rows(chunk) * q.cols)));
    }
    int largest = 0;
    for (const std::int8_t weight : weights) largest = std::max(largest, std::abs(weight));
    EXPECT_EQ(largest, 127);
  }
}

TEST_F(Synth, EntropyIsWhatWasAskedFor) {
  for (const SynthRecipe recipe : {SynthRecipe::kDc, SynthRecipe::kTensor, SynthRecipe::kChannel}) {
    for (const double target : {1.5, 3.6, 6.0}) {
      options_.recipe = recipe;
      options_.entropy = target;
      const std::string name = fmt::format("{}-{}", synth_recipe_name(recipe), target);
      EXPECT_NEAR(make(name).linear_entropy, target, 0.02) << name;
    }
  }
}

TEST_F(Synth, FreeStepsPerChannelSpreadTheIntegersOfChannels) {
  const auto spread = [&](SynthRecipe recipe, const std::string& name) {
    options_.recipe = recipe;
    options_.entropy = 4;
    options_.codec = "raw";
    make(name);
    const Container container(directory_ / name);
    const CodedTensor& tensor = container.coded().at("model.layers.0.mlp.up_proj.weight");
    std::vector<float> magnitude(static_cast<std::size_t>(tensor.cols));
    for (std::int64_t chunk = 0; chunk < tensor.chunks(); ++chunk) {
      const std::int8_t* q = tensor.direct(chunk);
      const auto count = static_cast<std::size_t>(tensor.chunk_rows(chunk) * tensor.cols);
      for (std::size_t i = 0; i < count; ++i) magnitude[i % magnitude.size()] += std::abs(q[i]);
    }
    return log_deviation(magnitude);
  };
  EXPECT_LT(spread(SynthRecipe::kTensor, "tensor"), 0.13);
  EXPECT_NEAR(spread(SynthRecipe::kChannel, "channel"), std::hypot(0.35, 0.10), 0.05);
}

TEST_F(Synth, TheSeedDecidesNotTheThreads) {
  options_.threads = 1;
  make("a");
  options_.threads = 3;
  make("b");
  options_.seed = 1;
  make("c");
  EXPECT_EQ(weights("a"), weights("b"));
  EXPECT_NE(weights("a"), weights("c"));
}

TEST_F(Synth, LayersDoNotDependOnHowManyThereAre) {
  options_.codec = "raw";
  make("one");
  options_.layers.reset();
  make("three");
  const Container one(directory_ / "one");
  const Container three(directory_ / "three");
  EXPECT_EQ(load_model_spec(directory_ / "three").layers.size(), 3U);
  const std::string name = "model.layers.0.mlp.down_proj.weight";
  EXPECT_TRUE(std::ranges::equal(one.coded().at(name).data, three.coded().at(name).data));
}

TEST_F(Synth, Bf16IsAnOriginalThatRunsInShardsToo) {
  options_.bf16 = true;
  make("whole");
  options_.max_shard_bytes = 300'000;
  const SynthReport report = make("shards");
  EXPECT_EQ(report.linear_weights, 0U);
  EXPECT_FALSE(Container::is_container(directory_ / "whole"));
  EXPECT_TRUE(std::filesystem::exists(directory_ / "shards/model.safetensors.index.json"));
  const Checkpoint whole(directory_ / "whole");
  const Checkpoint shards(directory_ / "shards");
  ASSERT_EQ(whole.tensors().size(), shards.tensors().size());
  for (const auto& [name, tensor] : whole.tensors()) {
    EXPECT_EQ(tensor.dtype, DType::kBF16);
    EXPECT_TRUE(std::ranges::equal(tensor.bytes, shards.at(name).bytes)) << name;
  }
  Model model(directory_ / "shards", {.threads = 2});
  KvCache cache(model.spec());
  EXPECT_THAT(prefill(model, cache, {1, 5, 9}),
              Each(::testing::Truly([](float x) { return std::isfinite(x); })));
}

TEST_F(Synth, BiasesAndTiedEmbeddingsAreWritten) {
  config_["attention_bias"] = true;
  config_["tie_word_embeddings"] = true;
  write_config();
  make("out");
  const Container container(directory_ / "out");
  EXPECT_TRUE(container.plain().contains("model.layers.0.self_attn.k_proj.bias"));
  EXPECT_FALSE(container.coded().contains("lm_head.weight"));
  EXPECT_NO_THROW(Model(directory_ / "out", {.threads = 1}));
}

TEST_F(Synth, TheTokenizerCutsIntoBytesAndKnowsEveryId) {
  config_["bos_token_id"] = 290;
  config_["eos_token_id"] = {291, 292};
  write_config();
  make("out");
  const auto tokenizer = load_tokenizer(directory_ / "out");
  const std::string text = "Na\xc3\xafve \xe2\x82\xac 1\n";
  const std::vector<TokenId> ids = tokenizer->encode_prompt(text);
  EXPECT_EQ(ids.size(), text.size() + 1);
  EXPECT_EQ(ids[0], 290);
  EXPECT_EQ(tokenizer->decode(ids), text);
  for (TokenId id = 0; id < 300; ++id) EXPECT_NO_THROW(tokenizer->piece(id)) << id;
}

TEST_F(Synth, AVocabularyTooSmallForTheBytesStillHasATokenizer) {
  for (const int vocab : {1, 2, 3, 100}) {
    config_["vocab_size"] = vocab;
    write_config();
    make(std::to_string(vocab));
    const auto tokenizer = load_tokenizer(directory_ / std::to_string(vocab));
    for (const TokenId id : tokenizer->encode_prompt("caf\xc3\xa9 ~")) EXPECT_LT(id, vocab);
  }
}

TEST_F(Synth, EveryPublishedConfigCanBeRun) {
  const std::string names = published_names();
  for (std::size_t at = 0; at < names.size();) {
    const std::size_t end = std::min(names.find(", ", at), names.size());
    const std::string name = names.substr(at, end - at);
    const ModelSpec spec = parse_model_spec(published_config(name), name);
    EXPECT_EQ(spec.layers.at(0).linears().front()->cols, spec.hidden_size) << name;
    EXPECT_TRUE(spec.bos.has_value()) << name;
    at = end + 2;
  }
  EXPECT_TRUE(published_config("llama-9").is_null());
}

TEST_F(Synth, WrongOptionsAreErrors) {
  const auto broken = [&](auto change) {
    SynthOptions options = options_;
    options.destination = directory_ / "out";
    change(options);
    return error_of([&] { synthesize_model(options); });
  };
  EXPECT_THAT(broken([](SynthOptions& o) { o.like = "gpt-5"; }), HasSubstr("llama-2-7b"));
  EXPECT_THAT(broken([](SynthOptions& o) { o.like = "/nonexistent.json"; }), HasSubstr("/nonexistent.json"));
  EXPECT_THAT(broken([](SynthOptions& o) { o.layers = 0; }), HasSubstr("--layers"));
  EXPECT_THAT(broken([](SynthOptions& o) { o.entropy = 8; }), HasSubstr("--entropy"));
  EXPECT_THAT(broken([](SynthOptions& o) { o.entropy = std::nan(""); }), HasSubstr("--entropy"));
  EXPECT_THAT(broken([](SynthOptions& o) { o.codec = "zip"; }), HasSubstr("zip"));
  config_["architectures"] = {"GPT9ForCausalLM"};
  write_config();
  EXPECT_THAT(broken([](SynthOptions&) {}), HasSubstr("GPT9ForCausalLM"));
  EXPECT_FALSE(std::filesystem::exists(directory_ / "out"));
  EXPECT_FALSE(std::filesystem::exists(directory_ / "out.partial"));
}

}  // namespace
}  // namespace twofold
