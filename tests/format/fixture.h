#pragma once

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/hash.h"
#include "base/random.h"
#include "base/thread_pool.h"
#include "expect_error.h"
#include "format/container.h"
#include "support/temp_directory.h"

namespace twofold {

using Bytes = std::vector<std::uint8_t>;
using Weights = std::vector<std::int8_t>;

/// Weights as a quantizer leaves them: bell-shaped around zero.
inline Weights random_weights(std::int64_t count, std::uint64_t seed, int spread = 6) {
  Random random(seed);
  Weights weights(static_cast<std::size_t>(count));
  for (std::int8_t& weight : weights) {
    const double sum = random.uniform() + random.uniform() + random.uniform() - 1.5;
    weight = static_cast<std::int8_t>(std::lround(sum * spread));
  }
  return weights;
}

inline Bytes random_bytes(std::size_t count, std::uint64_t seed) {
  Random random(seed);
  Bytes bytes(count);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random.next());
  return bytes;
}

inline CodedTensorParts parts_of(const std::string& name, std::int64_t rows, std::int64_t cols) {
  CodedTensorParts parts;
  parts.name = name;
  parts.rows = rows;
  parts.cols = cols;
  parts.scale = {0.01F};
  return parts;
}

inline TensorView view_of(const std::string& name, DType dtype, std::vector<std::int64_t> shape,
                          const Bytes& bytes) {
  TensorView view;
  view.name = name;
  view.dtype = dtype;
  view.shape = std::move(shape);
  view.bytes = bytes;
  return view;
}

/// A small container: two codecs, all kinds of parts, plain tensors of awkward sizes, a copied file.
struct SmallModel {
  Weights up = random_weights(48 * 40, 1);
  Weights down = random_weights(40 * 49, 2);
  Weights wide = random_weights(3 * 70000, 3, 3);  // a chunk per row
  Bytes norm = random_bytes(40 * 2, 4);
  Bytes embedding = random_bytes(64 * 4, 5);
  Bytes flags = random_bytes(3, 6);
  std::vector<float> up_scale = std::vector<float>(48);
  std::vector<float> down_input = std::vector<float>(49);
  std::string tokenizer = "{\"tokens\": []}";

  SmallModel() {
    for (std::size_t i = 0; i < up_scale.size(); ++i) {
      up_scale[i] = 0.001F * static_cast<float>(i + 1);  // needs F32
    }
    for (std::size_t i = 0; i < down_input.size(); ++i) {
      down_input[i] = bf16_to_float(static_cast<std::uint16_t>(0x3f00 + i));  // fits BF16
    }
  }

  void write(const std::filesystem::path& destination, std::uint64_t max_shard_bytes = UINT64_MAX,
             int threads = 2) const {
    const TempDirectory sources;
    std::ofstream(sources / "tokenizer.json") << tokenizer;
    ContainerWriter writer(
        destination, {"up.weight", "down.weight", "wide.weight", "norm.weight", "embed.weight", "flags"},
        max_shard_bytes);
    ThreadPool pool(threads);
    writer.add_plain(view_of("flags", DType::kBool, {3}, flags));
    CodedTensorParts parts = parts_of("up.weight", 48, 40);
    parts.scale = up_scale;
    writer.add_coded(parts, up, find_codec("ans"), pool);
    writer.add_plain(view_of("norm.weight", DType::kBF16, {40}, norm));
    parts = parts_of("down.weight", 40, 49);
    parts.scale = {0.5F};
    parts.input_scale = down_input;
    parts.activation_step = 0.125F;
    writer.add_coded(parts, down, find_codec("raw"), pool);
    writer.add_plain(view_of("embed.weight", DType::kF32, {8, 8}, embedding));
    writer.add_coded(parts_of("wide.weight", 3, 70000), wide, find_codec("ans"), pool);
    writer.copy_file(sources / "tokenizer.json");
    writer.commit({{"model_type", "llama"}, {"hidden_size", 40}}, {{"steps", {"quantize"}}});
  }
};

inline Weights decode(const CodedTensor& tensor) {
  Weights weights(static_cast<std::size_t>(tensor.rows * tensor.cols));
  for (std::int64_t chunk = 0; chunk < tensor.chunks(); ++chunk) {
    const auto offset = static_cast<std::size_t>(tensor.chunk_begin(chunk) * tensor.cols);
    const auto count = static_cast<std::size_t>(tensor.chunk_rows(chunk) * tensor.cols);
    tensor.decode_chunk(chunk, std::span(weights).subspan(offset, count));
  }
  return weights;
}

inline void verify(const std::filesystem::path& directory) {
  Container(directory).verify([](std::uint64_t) {});
}

inline Bytes bytes_of(const std::filesystem::path& path) {
  const std::string text = read_file(path);
  return {text.begin(), text.end()};
}

inline Bytes copy_bytes(std::string_view text) {
  return {text.begin(), text.end()};
}

inline void replace_file(const std::filesystem::path& path, const Bytes& bytes) {
  std::filesystem::remove(path);
  write_file(path, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

}  // namespace twofold
