#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/aligned.h"
#include "base/hash.h"
#include "format/container.h"

namespace twofold::testing {

/// A coded tensor in memory, and the bytes it views.
struct HeldTensor {
  AlignedVector<std::uint8_t> bytes;
  CodedTensor tensor;
};

inline HeldTensor coded_tensor(const char* codec_name, std::span<const std::int8_t> weights,
                               std::int64_t rows, std::int64_t cols, std::int64_t rows_per_chunk) {
  const Codec& codec = find_codec(codec_name);
  HeldTensor held;
  const auto table = codec.make_table(weights, cols);
  CodedTensor& tensor = held.tensor;
  tensor.name = "weight";
  tensor.file = "memory";
  tensor.codec = &codec;
  tensor.rows = rows;
  tensor.cols = cols;
  tensor.rows_per_chunk = rows_per_chunk;
  tensor.decoder = codec.make_decoder(table, cols);
  for (std::int64_t row = 0; row < rows; row += rows_per_chunk) {
    const auto count = static_cast<std::size_t>(std::min(rows_per_chunk, rows - row) * cols);
    std::vector<std::uint8_t> coded;
    codec.encode(table, weights.subspan(static_cast<std::size_t>(row * cols), count), cols, coded);
    tensor.index.insert(tensor.index.end(), {held.bytes.size(), coded.size(), xxh3(coded)});
    held.bytes.insert(held.bytes.end(), coded.begin(), coded.end());
    held.bytes.resize(align_up(held.bytes.size()));
  }
  tensor.data = held.bytes;
  return held;
}

}  // namespace twofold::testing
