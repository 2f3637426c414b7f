#include "model/model_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
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
  const LinearSpec& k = spec.layers[1].attention.qkv[1];
  EXPECT_EQ(k.weight(), "model.layers.1.self_attn.k_proj.weight");
  EXPECT_EQ(k.rows, 16);
  EXPECT_EQ(k.cols, 32);
  EXPECT_EQ(spec.layers[0].feed_forward.down.rows, 32);
  EXPECT_EQ(spec.layers[0].feed_forward.down.cols, 48);
  EXPECT_EQ(spec.layers[0].linears().size(), 7U);
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
  resolve_names(spec, [](const std::string& name) { return name == "lm_head.weight"; });
  EXPECT_EQ(spec.embedding, "lm_head.weight");
  EXPECT_EQ(spec.head.weight(), "lm_head.weight");
  spec = parse_model_spec(config, "c");
  resolve_names(spec, [](const std::string&) { return true; });
  EXPECT_EQ(spec.embedding, "model.embed_tokens.weight");
}

TEST(ModelSpec, HeadDimensionMayDifferFromHiddenOverHeads) {
  Json config = tiny_config();
  config["head_dim"] = 16;
  const ModelSpec spec = parse_model_spec(config, "c");
  EXPECT_EQ(spec.q_size(), 64);
  EXPECT_EQ(spec.layers[0].attention.out.cols, 64);
}

TEST(ModelSpec, RopeThetaIsReadFromTheOldAndTheNewPlace) {
  Json config = tiny_config();
  config["rope_theta"] = 500000.0;
  EXPECT_EQ(parse_model_spec(config, "c").ropes.at(0).theta, 500000.0);
  config.erase("rope_theta");
  config["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 20000.0}};
  EXPECT_EQ(parse_model_spec(config, "c").ropes.at(0).theta, 20000.0);
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
                                                {"hidden_act", "gelu_of_tomorrow"},
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

TEST(ModelSpec, UnknownFieldsThatMayChangeTheResultAreErrors) {
  for (const auto& [key, value] :
       std::initializer_list<std::pair<const char*, Json>>{{"logit_scale", 0.25},
                                                           {"use_qk_norm", true},
                                                           {"attention_sinks", {1, 2}},
                                                           {"rope_kind", "spiral"}}) {
    Json config = tiny_config();
    config[key] = value;
    EXPECT_THAT(error_of(config), AllOf(HasSubstr("dir/config.json"), HasSubstr(key)));
    config[key] = nullptr;  // not used by this model
    EXPECT_EQ(error_of(config), "");
  }
  Json config = tiny_config();
  config["attention_sinks"] = false;
  config["layer_map"] = Json::object();
  config["attention_dropout"] = 0.1;
  config["transformers_version"] = "9";
  EXPECT_EQ(error_of(config), "");
}

TEST(ModelSpec, WeightsOfAnotherQuantizationAreRefused) {
  Json config = tiny_config();
  config["quantization_config"] = {{"quant_method", "gptq"}, {"bits", 4}};
  EXPECT_THAT(error_of(config), AllOf(HasSubstr("quantization_config"), HasSubstr("gptq")));
  config["quantization_config"] = {{"quant_method", "twofold"}};
  EXPECT_EQ(error_of(config), "");
}

TEST(ModelSpec, RopeScalingsAreReadInTheOldAndTheNewStyle) {
  const Json scaling = {{"rope_type", "llama3"},
                        {"factor", 8.0},
                        {"low_freq_factor", 1.0},
                        {"high_freq_factor", 4.0},
                        {"original_max_position_embeddings", 32}};
  Json config = tiny_config();
  config["rope_scaling"] = scaling;
  const std::vector<float> old_style = parse_model_spec(config, "c").ropes.at(0).frequencies(1);
  config.erase("rope_scaling");
  config["rope_parameters"] = scaling;
  config["rope_parameters"]["rope_theta"] = config["rope_theta"];
  config.erase("rope_theta");
  EXPECT_EQ(parse_model_spec(config, "c").ropes.at(0).frequencies(1), old_style);
  ASSERT_EQ(old_style.size(), 4U);
  EXPECT_FLOAT_EQ(old_style[0], 1.0F);               // turns fast: kept
  EXPECT_FLOAT_EQ(old_style[3], 0.001F / 8);         // turns slowly: stretched
  config["rope_parameters"]["attention_sinks"] = 4;  // members are looked at as strictly
  EXPECT_THAT(error_of(config), AllOf(HasSubstr("rope_parameters"), HasSubstr("attention_sinks")));
}

TEST(ModelSpec, PrefixesOfNamesMayBeLeftAway) {
  const Json config = {{"architectures", {"GPT2LMHeadModel"}},
                       {"n_embd", 24},
                       {"n_head", 2},
                       {"n_layer", 1},
                       {"vocab_size", 50}};
  ModelSpec spec = parse_model_spec(config, "c");
  EXPECT_EQ(spec.layers[0].attention.qkv.at(0).weight(), "transformer.h.0.attn.c_attn.weight");
  EXPECT_EQ(spec.layers[0].attention.qkv.at(0).stored_shape(), (std::vector<std::int64_t>{24, 72}));
  resolve_names(spec, [](const std::string& name) { return name == "wte.weight"; });
  EXPECT_EQ(spec.layers[0].attention.qkv.at(0).weight(), "h.0.attn.c_attn.weight");
  EXPECT_EQ(spec.layers[0].feed_forward_input.name, "h.0.ln_2");
  EXPECT_EQ(spec.head.weight(), "wte.weight");
}

TEST(ModelSpec, RoutersAreNotAmongTheCodedLinears) {
  const Json config = {{"architectures", {"Qwen2MoeForCausalLM"}},
                       {"hidden_size", 32},
                       {"intermediate_size", 48},
                       {"num_attention_heads", 4},
                       {"num_hidden_layers", 2},
                       {"vocab_size", 64},
                       {"num_experts", 5},
                       {"mlp_only_layers", {0}}};
  const ModelSpec spec = parse_model_spec(config, "c");
  EXPECT_EQ(spec.layers[0].linears().size(), 7U);
  EXPECT_EQ(spec.layers[1].linears().size(), 4U + 3 * 5 + 3);
  EXPECT_EQ(spec.layers[1].routers().size(), 2U);
  EXPECT_EQ(spec.layers[1].moe->experts[4].down.name, "model.layers.1.mlp.experts.4.down_proj");
}

// Parameters of the decoder's linear layers as the models' papers and cards imply them.
TEST(ModelSpec, PublishedConfigsHaveTheirSizes) {
  const std::filesystem::path configs = std::filesystem::path(TWOFOLD_SHARED_DIR) / "configs";
  if (!std::filesystem::exists(configs)) GTEST_SKIP() << configs << " is not there";
  const std::map<std::string, double> millions = {
      {"falcon-7b", 6624},       {"llama-2-7b", 6476},    {"llama-3.1-8b", 6979},     {"llama-3.2-3b", 2818},
      {"mistral-7b-v0.1", 6979}, {"opt-1.3b", 1208},      {"opt-125m", 84.9},         {"opt-13b", 12583},
      {"opt-2.7b", 2517},        {"opt-350m", 302},       {"opt-6.7b", 6442},         {"qwen3-0.6b", 440},
      {"qwen3-4b-2507", 3633},   {"smollm2-135m", 106.2}, {"tinystories-656k", 0.393}};
  for (const auto& [name, expected] : millions) {
    const auto path = configs / (name + ".config.json");
    const ModelSpec spec = parse_model_spec(read_json_file(path), path.string());
    double weights = 0;
    for (const LayerSpec& layer : spec.layers) {
      for (const LinearSpec* linear : layer.linears())
        weights += static_cast<double>(linear->rows) * static_cast<double>(linear->cols);
    }
    EXPECT_NEAR(weights / 1e6, expected, 0.003 * expected) << name;
  }
}

TEST(ModelSpec, MissingDirectoryIsAnError) {
  EXPECT_THROW(load_model_spec("/nonexistent/model"), Error);
}

}  // namespace
}  // namespace twofold
