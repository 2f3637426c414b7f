#include <cmath>
#include <cstring>
#include <fstream>

#include "base/file.h"
#include "expect_error.h"
#include "runtime/generate.h"
#include "support/gguf_builder.h"
#include "support/tiny_model.h"
#include "tensor/gguf_blocks.h"

namespace twofold {
namespace {

using ::testing::HasSubstr;
using testing::TinyModel;

std::vector<float> logits_of(const std::filesystem::path& path, const MemoryOptions& memory = {}) {
  Model model(path, {.threads = 1, .memory = memory});
  const std::vector<std::int32_t> tokens = {1, 17, 4, 60, 33, 2, 9, 9, 51, 20};
  KvCache cache(model.spec());
  const Sequence sequence{&cache, tokens};
  return model.forward({&sequence, 1}, Model::Logits::kAll);
}

void expect_close(const std::vector<float>& found, const std::vector<float>& expected, double relative) {
  ASSERT_EQ(found.size(), expected.size());
  double scale = 0;
  for (const float x : expected) scale = std::max(scale, std::fabs(static_cast<double>(x)));
  for (std::size_t i = 0; i < found.size(); ++i) ASSERT_NEAR(found[i], expected[i], relative * scale) << i;
}

/// All weights streamed from storage.
std::vector<float> streamed_logits_of(const std::filesystem::path& path) {
  MemoryOptions memory;
  memory.budget = std::uint64_t{8} << 30;
  memory.use = {.context = 10, .tokens = 10, .logit_rows = 10};
  memory.plan = {{"model.layers.0.self_attn.q_proj.weight", Residency::kStreamed}};
  return logits_of(path, memory);
}

TEST(GgufRun, AConvertedModelHasTheLogitsOfTheOriginal) {
  const std::filesystem::path data = std::filesystem::path(TWOFOLD_SOURCE_DIR) / "tests/runtime/data";
  expect_close(logits_of(data / "tiny-tied-gqa-f32.gguf"), logits_of(data / "tiny-tied-gqa-f32"), 1e-5);
  EXPECT_EQ(streamed_logits_of(data / "tiny-tied-gqa-f32.gguf"), logits_of(data / "tiny-tied-gqa-f32.gguf"));
}

/// Q8_0 of one row: a binary16 step and 32 integers for each 32 elements. Also replaces `row` by what it
/// means.
std::vector<std::uint8_t> quantize_row(std::span<float> row) {
  std::vector<std::uint8_t> bytes;
  for (std::size_t begin = 0; begin < row.size(); begin += 32) {
    float largest = 0;
    for (std::size_t i = begin; i < begin + 32; ++i) largest = std::max(largest, std::fabs(row[i]));
    const std::uint16_t half = float_to_f16(largest / 127);
    bytes.push_back(static_cast<std::uint8_t>(half));
    bytes.push_back(static_cast<std::uint8_t>(half >> 8));
    const float step = f16_to_float(half);
    for (std::size_t i = begin; i < begin + 32; ++i) {
      const float q = std::clamp(std::nearbyint(row[i] / step), -127.0F, 127.0F);
      bytes.push_back(static_cast<std::uint8_t>(static_cast<std::int8_t>(q)));
      row[i] = step * q;
    }
  }
  return bytes;
}

/// Row of the file for each row of the model where heads store what turns together side by side.
std::size_t paired(std::size_t row, std::size_t head) {
  return row / head * head + row % head % (head / 2) * 2 + row % head / (head / 2);
}

TEST(GgufRun, BlocksComputeAsTheFloatsTheyMean) {
  const TempDirectory directory;
  TinyModel original;
  original.hidden = 64;
  original.intermediate = 96;
  original.write(directory / "first");  // makes the weights
  GgufBuilder builder;
  builder.string("general.architecture", "llama")
      .uint32("llama.embedding_length", 64)
      .uint32("llama.feed_forward_length", 96)
      .uint32("llama.block_count", 2)
      .uint32("llama.context_length", 64)
      .uint32("llama.attention.head_count", 4)
      .uint32("llama.attention.head_count_kv", 2)
      .float32("llama.attention.layer_norm_rms_epsilon", 1e-5F);
  const std::vector<std::pair<std::string, std::string>> parts = {
      {"input_layernorm", "attn_norm"}, {"post_attention_layernorm", "ffn_norm"},
      {"self_attn.q_proj", "attn_q"},   {"self_attn.k_proj", "attn_k"},
      {"self_attn.v_proj", "attn_v"},   {"self_attn.o_proj", "attn_output"},
      {"mlp.gate_proj", "ffn_gate"},    {"mlp.up_proj", "ffn_up"},
      {"mlp.down_proj", "ffn_down"},    {"model.embed_tokens", "token_embd"},
      {"model.norm", "output_norm"},    {"lm_head", "output"}};
  for (const auto& [name, shape] : original.shapes()) {
    std::string renamed = name;
    for (const auto& [from, to] : parts) {
      if (const std::size_t at = renamed.find(from); at != std::string::npos)
        renamed.replace(at, from.size(), to);
    }
    if (renamed.starts_with("model.layers.")) renamed.replace(0, 13, "blk.");
    std::vector<float>& values = original.weights[name];
    std::vector<std::uint8_t> bytes(4 * values.size());
    if (shape.size() == 1) {
      std::memcpy(bytes.data(), values.data(), bytes.size());
      builder.tensor(renamed, shape, 0, bytes);
      continue;
    }
    const auto rows = static_cast<std::size_t>(shape[0]);
    const auto cols = static_cast<std::size_t>(shape[1]);
    std::vector<std::vector<std::uint8_t>> coded(rows);
    const bool turns = renamed.ends_with("attn_q.weight") || renamed.ends_with("attn_k.weight");
    for (std::size_t row = 0; row < rows; ++row) {
      coded[turns ? paired(row, 16) : row] = quantize_row(std::span(values).subspan(row * cols, cols));
    }
    bytes.clear();
    for (const auto& row : coded) bytes.insert(bytes.end(), row.begin(), row.end());
    builder.tensor(renamed, shape, 8, bytes);
  }
  const auto file = builder.build();
  write_file(directory / "m.gguf", {reinterpret_cast<const char*>(file.data()), file.size()});
  original.write(directory / "second");  // now the floats that the blocks mean
  expect_close(logits_of(directory / "m.gguf"), logits_of(directory / "second"), 1e-6);
  EXPECT_EQ(streamed_logits_of(directory / "m.gguf"), logits_of(directory / "m.gguf"));
}

TEST(GgufRun, AFileWithoutATensorOfTheModelIsAnError) {
  const TempDirectory directory;
  const auto file = GgufBuilder()
                        .string("general.architecture", "llama")
                        .uint32("llama.embedding_length", 8)
                        .uint32("llama.feed_forward_length", 16)
                        .uint32("llama.block_count", 1)
                        .uint32("llama.context_length", 64)
                        .uint32("llama.attention.head_count", 2)
                        .float32("llama.attention.layer_norm_rms_epsilon", 1e-5F)
                        .tensor("token_embd.weight", {5, 8}, 0, std::vector<std::uint8_t>(160))
                        .build();
  write_file(directory / "m.gguf", {reinterpret_cast<const char*>(file.data()), file.size()});
  EXPECT_THAT(error_of([&] { Model model(directory / "m.gguf", {.threads = 1}); }),
              HasSubstr("m.gguf: no tensor \"model.layers.0"));
}

}  // namespace
}  // namespace twofold
