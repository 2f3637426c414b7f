#include "model/model_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "support/tiny_model.h"

namespace twofold {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

Json tiny_config() {
  return testing::TinyModel{}.config();
}

std::string error_of(const Json& config) {
  try {
    parse_model_spec(config, "dir/config.json");
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(ModelSpec, LlamaShapesAndNames) {
  const ModelSpec spec = parse_model_spec(tiny_config(), "config.json");
  EXPECT_EQ(spec.architecture, "LlamaForCausalLM");
  EXPECT_EQ(spec.head_dim, 8);
  ASSERT_EQ(spec.layers.size(), 2U);
  EXPECT_EQ(spec.layers[1].k.weight(), "model.layers.1.self_attn.k_proj.weight");
  EXPECT_EQ(spec.layers[1].k.rows, 16);
  EXPECT_EQ(spec.layers[1].k.cols, 32);
  EXPECT_EQ(spec.layers[0].down.rows, 32);
  EXPECT_EQ(spec.layers[0].down.cols, 48);
  EXPECT_EQ(spec.head.weight(), "lm_head.weight");
  EXPECT_EQ(spec.bos, 1);
  EXPECT_THAT(spec.eos, ::testing::ElementsAre(2));
}

TEST(ModelSpec, TiedHeadIsTheEmbedding) {
  Json config = tiny_config();
  config["tie_word_embeddings"] = true;
  EXPECT_EQ(parse_model_spec(config, "c").head.weight(), "model.embed_tokens.weight");
}

TEST(ModelSpec, TiedEmbeddingsMayBeStoredUnderTheHeadsName) {
  Json config = tiny_config();
  config["tie_word_embeddings"] = true;
  ModelSpec spec = parse_model_spec(config, "c");
  resolve_tied_embeddings(spec, [](const std::string& name) { return name == "lm_head.weight"; });
  EXPECT_EQ(spec.embedding, "lm_head.weight");
  EXPECT_EQ(spec.head.weight(), "lm_head.weight");
  spec = parse_model_spec(config, "c");
  resolve_tied_embeddings(spec, [](const std::string&) { return true; });
  EXPECT_EQ(spec.embedding, "model.embed_tokens.weight");
}

TEST(ModelSpec, HeadDimensionMayDifferFromHiddenOverHeads) {
  Json config = tiny_config();
  config["head_dim"] = 16;
  const ModelSpec spec = parse_model_spec(config, "c");
  EXPECT_EQ(spec.q_size(), 64);
  EXPECT_EQ(spec.layers[0].o.cols, 64);
}

TEST(ModelSpec, RopeThetaIsReadFromTheOldAndTheNewPlace) {
  Json config = tiny_config();
  config["rope_theta"] = 500000.0;
  EXPECT_FLOAT_EQ(parse_model_spec(config, "c").rope_theta, 500000.0F);
  config.erase("rope_theta");
  config["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 20000.0}};
  EXPECT_FLOAT_EQ(parse_model_spec(config, "c").rope_theta, 20000.0F);
}

TEST(ModelSpec, EosOfGenerationConfigWins) {
  const TempDirectory directory;
  testing::TinyModel().write(directory / "m");
  std::ofstream(directory / "m" / "generation_config.json") << R"({"eos_token_id": [5, 7]})";
  EXPECT_THAT(load_model_spec(directory / "m").eos, ::testing::ElementsAre(5, 7));
}

TEST(ModelSpec, UnknownArchitectureListsTheKnownOnes) {
  Json config = tiny_config();
  config["architectures"] = {"MambaForCausalLM"};
  EXPECT_THAT(error_of(config), AllOf(HasSubstr("dir/config.json"), HasSubstr("architectures"),
                                      HasSubstr("LlamaForCausalLM"), HasSubstr("MambaForCausalLM")));
  config.erase("architectures");
  EXPECT_THAT(error_of(config), AllOf(HasSubstr("dir/config.json"), HasSubstr("architectures")));
}

TEST(ModelSpec, FieldsOutOfRangeAreNamed) {
  const std::pair<const char*, Json> cases[] = {{"hidden_size", 0},
                                                {"hidden_size", "many"},
                                                {"hidden_size", 30},
                                                {"num_hidden_layers", -1},
                                                {"num_hidden_layers", 1e9},
                                                {"num_key_value_heads", 3},
                                                {"num_key_value_heads", 8},
                                                {"head_dim", 7},
                                                {"vocab_size", nullptr},
                                                {"rms_norm_eps", "small"},
                                                {"hidden_act", "gelu"},
                                                {"tie_word_embeddings", 1},
                                                {"rope_scaling", {{"rope_type", "llama3"}, {"factor", 8.0}}},
                                                {"rope_scaling", {{"type", "linear"}}},
                                                {"eos_token_id", "end"},
                                                {"attention_bias", "no"},
                                                {"max_position_embeddings", 0}};
  for (const auto& [key, value] : cases) {
    Json config = tiny_config();
    config[key] = value;
    EXPECT_THAT(error_of(config), AllOf(HasSubstr("dir/config.json"), HasSubstr(key)))
        << key << " = " << value;
  }
}

TEST(ModelSpec, MissingDirectoryIsAnError) {
  EXPECT_THROW(load_model_spec("/nonexistent/model"), Error);
}

}  // namespace
}  // namespace twofold
