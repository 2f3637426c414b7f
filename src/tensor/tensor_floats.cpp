#include "tensor/tensor_floats.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/json.h"
#include "tensor/gguf_blocks.h"

namespace twofold {

namespace {

/// Stored elements, in the order of the file.
void convert(const TensorView& tensor, std::uint64_t begin, std::span<float> out) {
  const std::size_t block = dtype_block(tensor.dtype);
  const std::size_t width = dtype_bytes(tensor.dtype);
  const auto bytes = tensor.bytes.subspan(begin / block * width, out.size() / block * width);
  if (is_gguf_block(tensor.dtype)) {
    gguf_blocks_to_float(tensor.dtype, bytes, out);
  } else {
    to_float(tensor.dtype, bytes, out);
  }
}

/// Where row `row` of the model stands in the file: the rotary embedding turns channel i of a head together
/// with channel i + half, and files that turn neighbours together store them as neighbours.
std::uint64_t stored_row(std::uint64_t row, std::uint64_t head_rows) {
  const std::uint64_t half = head_rows / 2;
  const std::uint64_t in_head = row % head_rows;
  return row - in_head + in_head % half * 2 + in_head / half;
}

}  // namespace

bool is_weight(const TensorView& tensor) {
  return is_float_weight(tensor.dtype) || is_gguf_block(tensor.dtype);
}

bool stored_plainly(const TensorView& tensor) {
  return is_float_weight(tensor.dtype) && tensor.paired_rows == 0 && tensor.offset == 0;
}

void read_floats(const TensorView& tensor, std::uint64_t begin, std::span<float> out) {
  const auto elements = static_cast<std::uint64_t>(tensor.elements());
  const std::size_t block = dtype_block(tensor.dtype);
  if (!is_weight(tensor)) {
    fail("{}: tensor {}: expected floats or blocks of them, found {}", tensor.file, json_quote(tensor.name),
         dtype_name(tensor.dtype));
  }
  if (begin > elements || out.size() > elements - begin || begin % block != 0 || out.size() % block != 0) {
    fail("{}: tensor {}: cannot read {} elements from {} of {}", tensor.file, json_quote(tensor.name),
         out.size(), begin, elements);
  }
  if (tensor.paired_rows == 0) {
    convert(tensor, begin, out);
  } else {
    const std::uint64_t rows = static_cast<std::uint64_t>(tensor.shape.at(0));
    const std::uint64_t cols = elements / rows;
    for (std::uint64_t done = 0; done < out.size();) {
      const std::uint64_t row = (begin + done) / cols;
      const std::uint64_t col = (begin + done) % cols;
      const std::uint64_t count = std::min<std::uint64_t>(cols - col, out.size() - done);
      const std::uint64_t stored = stored_row(row, static_cast<std::uint64_t>(tensor.paired_rows));
      convert(tensor, stored * cols + col, out.subspan(done, count));
      done += count;
    }
  }
  if (tensor.offset != 0) {
    for (float& value : out) value += tensor.offset;
  }
}

TensorView plain_copy(const TensorView& tensor, std::vector<std::uint8_t>& storage) {
  if (!is_weight(tensor) || stored_plainly(tensor)) return tensor;
  std::vector<float> values(static_cast<std::size_t>(tensor.elements()));
  read_floats(tensor, 0, values);
  constexpr float kLargestHalf = 65504;
  const bool fits =
      std::all_of(values.begin(), values.end(), [](float x) { return std::fabs(x) <= kLargestHalf; });
  TensorView copy = tensor;
  copy.dtype = is_float_weight(tensor.dtype) ? tensor.dtype : DType::kF16;
  if (tensor.shape.size() < 2 || !fits) copy.dtype = DType::kF32;
  copy.paired_rows = 0;
  copy.offset = 0;
  const std::size_t width = dtype_bytes(copy.dtype);
  storage.resize(values.size() * width);
  for (std::size_t i = 0; i < values.size(); ++i) {
    auto bits = std::bit_cast<std::uint32_t>(values[i]);
    if (copy.dtype == DType::kF16) bits = float_to_f16(values[i]);
    if (copy.dtype == DType::kBF16) bits = float_to_bf16(values[i]);
    std::memcpy(&storage[i * width], &bits, width);  // the low bytes come first
  }
  copy.bytes = storage;
  return copy;
}

}  // namespace twofold
