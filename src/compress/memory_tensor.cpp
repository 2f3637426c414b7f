#include "compress/memory_tensor.h"

#include <algorithm>

namespace twofold {

MemoryTensor::MemoryTensor(QuantizedMatrix matrix) : matrix_(std::move(matrix)) {
  constexpr std::int64_t kChunkWeights = 1 << 18;
  const std::int64_t cols = matrix_.parts.cols;
  tensor_.name = "quantized";
  tensor_.file = "memory";
  tensor_.codec = &find_codec("raw");
  tensor_.rows = matrix_.parts.rows;
  tensor_.cols = cols;
  tensor_.rows_per_chunk = std::max<std::int64_t>(kChunkWeights / std::max<std::int64_t>(cols, 1), 1);
  tensor_.scale = matrix_.parts.scale;
  tensor_.input_scale = matrix_.parts.input_scale;
  tensor_.activation_step = matrix_.parts.activation_step;
  tensor_.data = {reinterpret_cast<const std::uint8_t*>(matrix_.q.data()), matrix_.q.size()};
  tensor_.decoder = tensor_.codec->make_decoder({}, cols);
  for (std::int64_t row = 0; row < tensor_.rows; row += tensor_.rows_per_chunk) {
    const auto offset = static_cast<std::uint64_t>(row * cols);
    const auto bytes =
        static_cast<std::uint64_t>(std::min(tensor_.rows_per_chunk, tensor_.rows - row) * cols);
    tensor_.index.insert(tensor_.index.end(), {offset, bytes, 0});
  }
}

}  // namespace twofold
