#include "compress/transcode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "compress/compress.h"
#include "expect_error.h"
#include "support/tiny_model.h"

namespace twofold {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

using testing::TinyModel;

class Transcode : public ::testing::Test {
 protected:
  void SetUp() override {
    TinyModel tiny;
    tiny.config_overrides["transformers_version"] = "kept";
    tiny.write(directory_ / "model");
    write_file(directory_ / "model" / "notes.txt", "belongs to the model");
    CompressOptions options;
    options.source = directory_ / "model";
    options.destination = directory_ / "ans";
    options.calibration.tokens = 64;
    options.recipe.activations = ActivationMode::kPerTensorStatic;
    options.threads = 2;
    compress_model(options);
  }

  TranscodeReport to_codec(const std::string& source, const std::string& destination,
                           const std::string& codec) {
    TranscodeOptions options;
    options.source = directory_ / source;
    options.destination = directory_ / destination;
    options.plan.codec = codec;
    options.threads = 2;
    return transcode_model(options);
  }

  static std::vector<std::int8_t> weights(const CodedTensor& tensor) {
    std::vector<std::int8_t> all(static_cast<std::size_t>(tensor.rows * tensor.cols));
    for (std::int64_t chunk = 0; chunk < tensor.chunks(); ++chunk) {
      tensor.decode_chunk(
          chunk, std::span(all).subspan(static_cast<std::size_t>(tensor.chunk_begin(chunk) * tensor.cols),
                                        static_cast<std::size_t>(tensor.chunk_rows(chunk) * tensor.cols)));
    }
    return all;
  }

  TempDirectory directory_;
};

TEST_F(Transcode, KeepsIntegersScalesFilesAndRecipeBetweenAllCodecs) {
  const Container original(directory_ / "ans");
  std::string before = "ans";
  // A path through the codecs on which each is read and written; what it ends with is what it began with.
  for (const char* codec : {"raw", "packed", "tiered", "ans8", "zstd", "lz4", "ans"}) {
    const std::string name = "to-" + std::string(codec);
    const TranscodeReport report = to_codec(before, name, codec);
    EXPECT_EQ(report.coded_tensors, original.coded().size());
    EXPECT_EQ(report.stored_bytes, directory_bytes(directory_ / name));
    const Container found(directory_ / name);
    found.verify([](std::uint64_t) {});
    ASSERT_EQ(found.coded().size(), original.coded().size());
    for (const auto& [tensor_name, expected] : original.coded()) {
      const CodedTensor& tensor = found.coded().at(tensor_name);
      EXPECT_EQ(tensor.codec->name(), codec);
      EXPECT_EQ(weights(tensor), weights(expected)) << tensor_name;
      EXPECT_EQ(tensor.scale, expected.scale);
      EXPECT_EQ(tensor.input_scale, expected.input_scale);
      EXPECT_EQ(tensor.activation_step, expected.activation_step);
    }
    Json recipe = found.recipe();
    EXPECT_EQ(recipe["codec"], codec);
    EXPECT_EQ(recipe["calibration"], original.recipe()["calibration"]);
    EXPECT_EQ(recipe["alpha"], original.recipe()["alpha"]);
    EXPECT_EQ(found.config()["transformers_version"], "kept");
    EXPECT_EQ(read_file(directory_ / name / "notes.txt"), "belongs to the model");
    before = name;
  }
  EXPECT_TRUE(read_file(directory_ / "to-ans" / "model.safetensors") ==
              read_file(directory_ / "ans" / "model.safetensors"));
}

TEST_F(Transcode, PlanGivesEachTensorItsCodec) {
  const std::string name = "model.layers.1.mlp.up_proj.weight";
  write_file(directory_ / "plan.json",
             R"({"twofold_plan": 1, "codec": "packed", "tensors": {")" + name + R"(": {"codec": "raw"}}})");
  TranscodeOptions options;
  options.source = directory_ / "ans";
  options.destination = directory_ / "mixed";
  options.plan = read_codec_plan(directory_ / "plan.json");
  transcode_model(options);
  const Container mixed(directory_ / "mixed");
  for (const auto& [tensor_name, tensor] : mixed.coded())
    EXPECT_EQ(tensor.codec->name(), tensor_name == name ? "raw" : "packed");
  EXPECT_EQ(mixed.recipe()["codec"], "mixed");

  // The same plan for compress.
  CompressOptions compress;
  compress.source = directory_ / "model";
  compress.destination = directory_ / "planned";
  compress.calibration.tokens = 64;
  compress.recipe.activations = ActivationMode::kPerTensorStatic;
  compress.plan = options.plan;
  EXPECT_EQ(compress_model(compress).recipe.codec, "mixed");
  EXPECT_TRUE(read_file(directory_ / "planned" / "model.safetensors") ==
              read_file(directory_ / "mixed" / "model.safetensors"));

  compress.destination = directory_ / "never";
  compress.plan->tensors["model.nothing"] = "raw";
  EXPECT_THAT(error_of([&] { compress_model(compress); }),
              AllOf(HasSubstr("plan.json"), HasSubstr("\"model.nothing\"")));
  EXPECT_FALSE(std::filesystem::exists(directory_ / "never"));
}

TEST_F(Transcode, RefusesBadPlansAndSources) {
  const auto plan_error = [&](const std::string& text) {
    return error_of([&] { parse_codec_plan(parse_json(text, "p"), "p"); });
  };
  EXPECT_THAT(plan_error("[]"), HasSubstr("p: expected a JSON object"));
  EXPECT_THAT(plan_error("{}"), HasSubstr("missing field \"twofold_plan\""));
  EXPECT_THAT(plan_error(R"({"twofold_plan": 2, "codec": "raw", "tensors": {}})"), HasSubstr("from 1 to 1"));
  EXPECT_THAT(plan_error(R"({"twofold_plan": 1, "tensors": {}})"), HasSubstr("missing field \"codec\""));
  EXPECT_THAT(plan_error(R"({"twofold_plan": 1, "codec": "zip", "tensors": {}})"), HasSubstr("zip"));
  EXPECT_THAT(plan_error(R"({"twofold_plan": 1, "codec": "raw", "tensors": []})"), HasSubstr("\"tensors\""));
  EXPECT_THAT(plan_error(R"({"twofold_plan": 1, "codec": "raw", "tensors": {"a": {"codec": 3}}})"),
              AllOf(HasSubstr("\"a\""), HasSubstr("expected a string")));

  EXPECT_THAT(error_of([&] { to_codec("model", "out", "raw"); }), HasSubstr("not a Twofold directory"));
  EXPECT_THAT(error_of([&] { to_codec("ans", "model", "raw"); }), HasSubstr("exists"));
  TranscodeOptions options;
  options.source = directory_ / "ans";
  options.destination = directory_ / "out";
  options.plan.source = "plan.json";
  options.plan.tensors["model.norm.weight"] = "raw";  // there, but not coded
  EXPECT_THAT(error_of([&] { transcode_model(options); }), HasSubstr("no coded tensor of this name"));
}

TEST_F(Transcode, DamageIsFoundAndLeavesNothing) {
  const std::filesystem::path file = directory_ / "ans" / "model.safetensors";
  std::string bytes = read_file(file);
  const Container container(directory_ / "ans");
  const std::size_t at = bytes.size() - 5;  // in a plain tensor
  bytes[at] = static_cast<char>(bytes[at] ^ 1);
  std::ofstream(file, std::ios::binary) << bytes;
  EXPECT_THAT(error_of([&] { to_codec("ans", "out", "raw"); }), HasSubstr("damaged"));
  EXPECT_FALSE(std::filesystem::exists(directory_ / "out"));
  EXPECT_FALSE(std::filesystem::exists(directory_ / "out.partial"));
}

}  // namespace
}  // namespace twofold
