#include "model/gguf_model.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "expect_error.h"
#include "support/gguf_builder.h"
#include "support/temp_directory.h"

namespace twofold {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// The metadata of a small model; 8 channels, 2 heads.
GgufBuilder model_of(const std::string& architecture) {
  GgufBuilder builder;
  builder.string("general.architecture", architecture)
      .uint32(architecture + ".embedding_length", 8)
      .uint32(architecture + ".feed_forward_length", 16)
      .uint32(architecture + ".block_count", 1)
      .uint32(architecture + ".context_length", 64)
      .uint32(architecture + ".attention.head_count", 2)
      .float32(architecture + ".attention.layer_norm_rms_epsilon", 1e-5F)
      .tensor("token_embd.weight", {5, 8}, 0, std::vector<std::uint8_t>(160));
  return builder;
}

void add(GgufBuilder& builder, const std::string& name, std::vector<std::int64_t> shape) {
  std::size_t bytes = 4;
  for (const std::int64_t dim : shape) bytes *= static_cast<std::size_t>(dim);
  builder.tensor(name, shape, 0, std::vector<std::uint8_t>(bytes));
}

Json config_of(const GgufBuilder& builder) {
  const auto bytes = builder.build();
  return gguf_config(GgufFile(bytes, "m.gguf"));
}

std::string refusal(const GgufBuilder& builder) {
  const auto bytes = builder.build();
  return error_of([&] { gguf_config(GgufFile(bytes, "m.gguf")); });
}

TEST(GgufModel, TheConfigurationSaysWhatTheMetadataSays) {
  GgufBuilder builder = model_of("llama");
  builder.uint32("llama.attention.head_count_kv", 1)
      .float32("llama.rope.freq_base", 500000)
      .uint32("llama.vocab_size", 5)
      .uint32("tokenizer.ggml.bos_token_id", 1)
      .uint32("tokenizer.ggml.eos_token_id", 2);
  EXPECT_EQ(config_of(builder), (Json{{"architectures", {"LlamaForCausalLM"}},
                                      {"model_type", "llama"},
                                      {"hidden_size", 8},
                                      {"intermediate_size", 16},
                                      {"num_hidden_layers", 1},
                                      {"num_attention_heads", 2},
                                      {"num_key_value_heads", 1},
                                      {"max_position_embeddings", 64},
                                      {"rms_norm_eps", 1e-5},
                                      {"rope_theta", 500000.0},
                                      {"vocab_size", 5},
                                      {"tie_word_embeddings", true},
                                      {"attention_bias", false},
                                      {"mlp_bias", false},
                                      {"bos_token_id", 1},
                                      {"eos_token_id", 2}}));
  builder.uint32("tokenizer.ggml.eot_token_id", 4);
  add(builder, "output.weight", {5, 8});
  add(builder, "blk.0.attn_q.bias", {8});
  const Json config = config_of(builder);
  EXPECT_EQ(config["eos_token_id"], (Json{2, 4}));
  EXPECT_EQ(config["tie_word_embeddings"], false);
  EXPECT_EQ(config["attention_bias"], true);
}

TEST(GgufModel, RotaryScalingIsRecovered) {
  GgufBuilder linear = model_of("llama");
  linear.string("llama.rope.scaling.type", "linear").float32("llama.rope.scaling.factor", 4);
  EXPECT_EQ(config_of(linear)["rope_scaling"], (Json{{"rope_type", "linear"}, {"factor", 4.0}}));

  GgufBuilder yarn = model_of("qwen2");
  yarn.string("qwen2.rope.scaling.type", "yarn")
      .float32("qwen2.rope.scaling.factor", 4)
      .uint32("qwen2.rope.scaling.original_context_length", 16);
  EXPECT_EQ(config_of(yarn)["rope_scaling"]["original_max_position_embeddings"], 16);

  // Llama 3.1 8B: 128 channels per head, theta 500000; the divisors of its file.
  GgufBuilder llama3 = model_of("llama");
  llama3.float32("llama.rope.freq_base", 500000).uint32("llama.attention.key_length", 128);
  std::vector<float> divisors(64, 1.0F);
  for (std::size_t i = 35; i < 64; ++i) divisors[i] = 8.0F;
  const std::vector<float> smooth = {1.207484F, 1.553415F, 2.026313F, 2.69453F, 3.684253F, 5.257327F};
  std::copy(smooth.begin(), smooth.end(), divisors.begin() + 29);
  std::vector<std::uint8_t> bytes(256);
  std::memcpy(bytes.data(), divisors.data(), bytes.size());
  llama3.tensor("rope_freqs.weight", {64}, 0, bytes);
  const Json scaling = config_of(llama3)["rope_scaling"];
  EXPECT_EQ(scaling.value("rope_type", ""), "llama3") << scaling.dump();

  divisors[3] = 1.5F;  // none that is known: the divisors themselves
  std::memcpy(bytes.data(), divisors.data(), bytes.size());
  GgufBuilder other = model_of("llama");
  other.uint32("llama.attention.key_length", 128).tensor("rope_freqs.weight", {64}, 0, bytes);
  EXPECT_EQ(config_of(other)["rope_scaling"]["long_factor"][3], 1.5);
}

TEST(GgufModel, ArchitecturesDifferInTheirFields) {
  GgufBuilder qwen3 = model_of("qwen3");
  EXPECT_EQ(config_of(qwen3)["head_dim"], 4);
  GgufBuilder gemma2 = model_of("gemma2");
  gemma2.uint32("gemma2.attention.key_length", 6).uint32("gemma2.attention.value_length", 6);
  EXPECT_EQ(config_of(gemma2)["query_pre_attn_scalar"], 6.0);
  GgufBuilder mixtral = model_of("llama");
  mixtral.uint32("llama.expert_count", 4).uint32("llama.expert_used_count", 2);
  EXPECT_EQ(config_of(mixtral)["architectures"], Json{"MixtralForCausalLM"});
  EXPECT_EQ(config_of(mixtral)["num_local_experts"], 4);
}

TEST(GgufModel, WhatCannotBeReadIsAnError) {
  EXPECT_THAT(refusal(model_of("mamba")),
              HasSubstr("\"general.architecture\": expected one of llama, qwen2"));
  GgufBuilder unknown = model_of("llama");
  EXPECT_THAT(refusal(unknown.float32("llama.logit_scale", 2)),
              HasSubstr("m.gguf: \"llama.logit_scale\": not known"));
  GgufBuilder part = model_of("llama");
  EXPECT_THAT(refusal(part.scalar("split.count", GgufType::kUint16, std::uint16_t{2})), HasSubstr("2 parts"));
  GgufBuilder heads = model_of("llama");
  EXPECT_THAT(refusal(heads.uint32("llama.attention.value_length", 3)), HasSubstr("expected that of keys"));
  GgufBuilder rope = model_of("llama");
  EXPECT_THAT(refusal(rope.string("llama.rope.scaling.type", "longrope")),
              HasSubstr("longrope with its tensors"));
  EXPECT_THAT(refusal(GgufBuilder().string("general.architecture", "llama")), HasSubstr("a vocabulary only"));
}

TEST(GgufModel, TensorsGetTheNamesOfTheModel) {
  GgufBuilder builder = model_of("llama");
  builder.uint32("llama.attention.head_count_kv", 1);
  add(builder, "output_norm.weight", {8});
  add(builder, "blk.12.attn_q.weight", {8, 8});
  add(builder, "blk.12.attn_k.weight", {4, 8});
  add(builder, "blk.12.attn_k.bias", {4});
  add(builder, "blk.12.ffn_norm.weight", {8});
  add(builder, "rope_freqs.weight", {2});
  const auto bytes = builder.build();
  const GgufFile file(bytes, "m.gguf");
  const auto tensors = gguf_tensors(file);
  std::vector<std::string> names;
  for (const auto& [name, tensor] : tensors) {
    EXPECT_EQ(name, tensor.name);
    names.push_back(name);
  }
  EXPECT_THAT(names,
              ElementsAre("model.embed_tokens.weight", "model.layers.12.post_attention_layernorm.weight",
                          "model.layers.12.self_attn.k_proj.bias", "model.layers.12.self_attn.k_proj.weight",
                          "model.layers.12.self_attn.q_proj.weight", "model.norm.weight"));
  EXPECT_EQ(tensors.at("model.layers.12.self_attn.q_proj.weight").paired_rows, 4);
  EXPECT_EQ(tensors.at("model.layers.12.self_attn.k_proj.bias").paired_rows, 4);
  EXPECT_EQ(tensors.at("model.norm.weight").paired_rows, 0);
}

TEST(GgufModel, GemmaNormsLoseTheirOneAndExpertsComeApart) {
  GgufBuilder gemma = model_of("gemma2");
  add(gemma, "blk.0.post_ffw_norm.weight", {8});
  const auto gemma_bytes = gemma.build();
  const GgufFile gemma_file(gemma_bytes, "m.gguf");
  EXPECT_EQ(gguf_tensors(gemma_file).at("model.layers.0.post_feedforward_layernorm.weight").offset, -1);

  GgufBuilder mixtral = model_of("llama");
  mixtral.uint32("llama.expert_count", 3);
  add(mixtral, "blk.0.ffn_up_exps.weight", {3, 16, 8});
  const auto bytes = mixtral.build();
  const GgufFile file(bytes, "m.gguf");
  const auto tensors = gguf_tensors(file);
  const TensorView& last = tensors.at("model.layers.0.block_sparse_moe.experts.2.w3.weight");
  EXPECT_THAT(last.shape, ElementsAre(16, 8));
  EXPECT_EQ(last.bytes.data() + last.bytes.size(), bytes.data() + bytes.size());
}

TEST(GgufModel, TensorsWithoutANameAreErrors) {
  for (const char* name :
       {"blk.0.attn_magic.weight", "blk.x.attn_q.weight", "blk.0", "blk.", "blk.1.weight", "w"}) {
    GgufBuilder builder = model_of("llama");
    add(builder, name, {8, 8});
    const auto bytes = builder.build();
    const GgufFile file(bytes, "m.gguf");
    EXPECT_THAT(error_of([&] { gguf_tensors(file); }), HasSubstr("not known in architecture llama")) << name;
  }
  GgufBuilder odd = model_of("llama");
  add(odd, "blk.0.attn_q.weight", {6, 8});
  const auto bytes = odd.build();
  const GgufFile file(bytes, "m.gguf");
  EXPECT_THAT(error_of([&] { gguf_tensors(file); }),
              HasSubstr("expected rows of 2 heads of an even size, found 6"));
}

TEST(GgufModel, AGgufFileIsToldByItsFirstBytes) {
  const TempDirectory directory;
  std::ofstream(directory / "a") << "GGUF....";
  std::ofstream(directory / "b.gguf") << "GG";
  EXPECT_TRUE(is_gguf_model(directory / "a"));
  EXPECT_FALSE(is_gguf_model(directory / "b.gguf"));
  EXPECT_FALSE(is_gguf_model(directory.path()));
  EXPECT_FALSE(is_gguf_model(directory / "missing"));
}

}  // namespace
}  // namespace twofold
