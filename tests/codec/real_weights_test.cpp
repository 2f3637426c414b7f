// The codecs on the weights of real models, quantized to INT8 with one step per tensor.

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/json.h"
#include "codec/codec_bench.h"
#include "codec/test_weights.h"

namespace twofold {
namespace {

float half_to_float(std::uint16_t bits) {
  const int exponent = bits >> 10 & 31;
  const int mantissa = bits & 1023;
  const float value = exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -24)
                                    : std::ldexp(static_cast<float>(mantissa + 1024), exponent - 25);
  return (bits & 0x8000) != 0 ? -value : value;
}

float brain_to_float(std::uint16_t bits) {
  const std::uint32_t wide = static_cast<std::uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &wide, 4);
  return value;
}

/// The linear layers of a trusted safetensors file with 16-bit floats.
BenchSource linears(const std::string& path) {
  return [path](const std::function<void(const BenchMatrix&)>& visit) {
    const MappedFile file(path);
    std::uint64_t header_size;
    std::memcpy(&header_size, file.bytes().data(), 8);
    const std::string_view header(reinterpret_cast<const char*>(file.bytes().data()) + 8, header_size);
    const Json json = parse_json(header, path);
    for (const auto& [name, tensor] : json.items()) {
      if (name == "__metadata__" || tensor["shape"].size() != 2 || name.find("embed") != std::string::npos ||
          name.find("lm_head") != std::string::npos) {
        continue;
      }
      const std::size_t begin = tensor["data_offsets"][0].get<std::size_t>() + 8 + header_size;
      const std::size_t count = (tensor["data_offsets"][1].get<std::size_t>() + 8 + header_size - begin) / 2;
      std::vector<float> values(count);
      float largest = 0;
      for (std::size_t i = 0; i < count; ++i) {
        std::uint16_t bits;
        std::memcpy(&bits, file.bytes().data() + begin + 2 * i, 2);
        values[i] = tensor["dtype"] == "F16" ? half_to_float(bits) : brain_to_float(bits);
        largest = std::max(largest, std::abs(values[i]));
      }
      Weights weights(count);
      for (std::size_t i = 0; i < count; ++i) weights[i] = clamp_weight(values[i] * 127 / largest);
      visit(BenchMatrix{weights, tensor["shape"][1].get<std::int64_t>()});
    }
  };
}

void expect_ans_near_entropy(const std::string& path, std::int64_t weights_per_chunk, double over) {
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is missing";
  const std::vector<CodecFigures> figures =
      measure_codecs(codecs(), linears(path), {.weights_per_chunk = weights_per_chunk, .repetitions = 1});
  for (const CodecFigures& f : figures) {
    std::printf("%-8s CR %.4f  %.4f bits (entropy %.4f, %+.3f %%)\n", f.name.c_str(), f.compression_ratio(),
                f.bits_per_weight(), f.entropy_bits_per_weight, 100 * f.over_entropy());
    if (f.name == "ans") {
      EXPECT_LT(f.over_entropy(), over);
    } else if (f.name == "ans8") {
      EXPECT_LT(f.over_entropy(), over + 0.004);
    } else {
      EXPECT_GT(f.over_entropy(), over);
    }
  }
}

TEST(RealWeights, AnsCodesGpt2InOneChunkPerMatrixWithinOneThousandthOfTheEntropy) {
  expect_ans_near_entropy(TWOFOLD_SHARED_DIR "/weights/gpt2-small-attention-even-layers.safetensors", 1 << 20,
                          0.001);
}

TEST(RealWeights, AnsCodesGpt2InChunksOf64KWithinTwoThousandths) {
  expect_ans_near_entropy(TWOFOLD_SHARED_DIR "/weights/gpt2-small-attention-even-layers.safetensors", 1 << 16,
                          0.002);
}

TEST(RealWeights, AnsCodesTheSmallMatricesOfTheDemoModelInChunksOf64KWithinThreeThousandths) {
  expect_ans_near_entropy(TWOFOLD_SOURCE_DIR "/demo/books-llama-8m/model.safetensors", 1 << 16, 0.003);
}

}  // namespace
}  // namespace twofold
