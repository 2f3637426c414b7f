// Every architecture compressed, opened again and run as INT8, on the tiny models of the runtime's tests.

#include "support/architectures.h"

#include <gtest/gtest.h>

#include <cstring>

#include "compress/compress.h"
#include "runtime/logits.h"
#include "support/temp_directory.h"

namespace twofold {
namespace {

namespace fs = std::filesystem;
using testing::architecture;
using testing::architecture_names;
using testing::architecture_test_name;

/// The prompt and the greedy continuation of the reference.
std::vector<std::int32_t> reference_tokens(const fs::path& directory) {
  const SafetensorsFile file(directory / "reference.safetensors");
  std::vector<std::int32_t> tokens;
  for (const char* name : {"input_ids", "decode_ids"}) {
    const TensorView& tensor = file.tensors().at(name);
    std::vector<std::int64_t> ids(static_cast<std::size_t>(tensor.elements()));
    std::memcpy(ids.data(), tensor.bytes.data(), tensor.bytes.size());
    for (const std::int64_t id : ids) tokens.push_back(static_cast<std::int32_t>(id));
  }
  return tokens;
}

std::vector<float> logits_of(Model& model, const std::vector<std::int32_t>& tokens) {
  KvCache cache(model.spec());
  const Sequence sequence{&cache, tokens};
  return model.forward({&sequence, 1}, Model::Logits::kAll);
}

class Architecture : public ::testing::TestWithParam<std::string> {
 protected:
  CompressOptions options() const {
    CompressOptions options;
    options.source = architecture(GetParam());
    options.destination = directory_ / "compressed";
    options.recipe.alpha = 0.5;
    options.calibration.tokens = 128;
    options.threads = 1;
    return options;
  }

  TempDirectory directory_;
};

TEST_P(Architecture, RunsAsInt8AsItDoesInFloat) {
  compress_model(options());
  Model original(options().source, {.threads = 1});
  Model compressed(options().destination, {.threads = 1});
  ASSERT_TRUE(compressed.compressed());
  const auto& coded = compressed.container()->coded();
  for (const LayerSpec& layer : compressed.spec().layers) {
    for (const LinearSpec* linear : layer.linears()) {
      ASSERT_TRUE(coded.contains(linear->weight())) << linear->weight();
      EXPECT_EQ(coded.at(linear->weight()).rows, linear->rows);
    }
    for (const LinearSpec* router : layer.routers()) EXPECT_FALSE(coded.contains(router->weight()));
  }
  for (const auto& [name, tensor] : compressed.container()->plain()) EXPECT_FALSE(is_buffer(name)) << name;

  const auto tokens = reference_tokens(options().source);
  const auto expected = logits_of(original, tokens);
  const auto found = logits_of(compressed, tokens);
  const std::size_t vocab = expected.size() / tokens.size();
  double divergence = 0;
  int agreed = 0;
  for (std::size_t t = 0; t < tokens.size(); ++t) {
    const std::span<const float> p(&expected[t * vocab], vocab);
    const std::span<const float> q(&found[t * vocab], vocab);
    divergence += kl_divergence(p, q) / static_cast<double>(tokens.size());
    agreed += argmax(p) == argmax(q) ? 1 : 0;
  }
  std::printf("%-24s KL %.5f, top-1 %d of %zu\n", GetParam().c_str(), divergence, agreed, tokens.size());
  EXPECT_LT(divergence, 0.01);
  EXPECT_GE(agreed, static_cast<int>(tokens.size()) * 8 / 10);
}

INSTANTIATE_TEST_SUITE_P(Compressed, Architecture, ::testing::ValuesIn(architecture_names()),
                         architecture_test_name);

}  // namespace
}  // namespace twofold
