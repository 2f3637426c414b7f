#include "eval/size_report.h"

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "codec/entropy.h"
#include "format/container.h"
#include "model/gguf_model.h"
#include "tensor/tensor_floats.h"

namespace twofold {

namespace {

TensorSize measure_coded(const CodedTensor& tensor) {
  TensorSize size;
  size.name = tensor.name;
  size.shape = {tensor.rows, tensor.cols};
  size.stored_as = tensor.codec->name();
  size.coded = true;
  size.elements = static_cast<std::uint64_t>(tensor.rows) * static_cast<std::uint64_t>(tensor.cols);
  size.bytes = tensor.stored_bytes;
  Histogram histogram{};
  std::vector<std::int8_t> weights;
  for (std::int64_t chunk = 0; chunk < tensor.chunks(); ++chunk) {
    check_interrupt();
    weights.resize(static_cast<std::size_t>(tensor.chunk_rows(chunk) * tensor.cols));
    tensor.decode_chunk(chunk, weights);
    count_values(weights, histogram);
  }
  size.entropy = order0_entropy(histogram);
  const auto n = static_cast<double>(std::max<std::uint64_t>(size.elements, 1));
  size.zeros = static_cast<double>(histogram[0]) / n;
  size.cr = static_cast<double>(size.elements) / static_cast<double>(std::max<std::uint64_t>(size.bytes, 1));
  return size;
}

/// Of blocks, whose zeros cannot be seen in the bytes.
double share_of_zero_floats(const TensorView& tensor) {
  constexpr std::uint64_t kPart = 1 << 16;  // a multiple of every block
  const auto n = static_cast<std::uint64_t>(tensor.elements());
  std::vector<float> values;
  std::uint64_t zeros = 0;
  for (std::uint64_t begin = 0; begin < n; begin += kPart) {
    values.resize(std::min(kPart, n - begin));
    read_floats(tensor, begin, values);
    zeros += static_cast<std::uint64_t>(std::count(values.begin(), values.end(), 0.0F));
  }
  return static_cast<double>(zeros) / static_cast<double>(n);
}

double share_of_zeros(const TensorView& tensor) {
  const std::size_t width = dtype_bytes(tensor.dtype);
  const std::size_t n = static_cast<std::size_t>(tensor.elements());
  if (n == 0) return 0;
  if (dtype_block(tensor.dtype) > 1) return share_of_zero_floats(tensor);
  // -0.0 has its sign bit set and counts as zero too.
  const std::uint8_t sign = is_float_weight(tensor.dtype) || tensor.dtype == DType::kF64 ? 0x7f : 0xff;
  std::size_t zeros = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint8_t* element = tensor.bytes.data() + i * width;
    bool zero = (element[width - 1] & sign) == 0;
    for (std::size_t b = 0; b + 1 < width; ++b) zero = zero && element[b] == 0;
    zeros += zero ? 1 : 0;
  }
  return static_cast<double>(zeros) / static_cast<double>(n);
}

TensorSize measure_plain(const TensorView& tensor) {
  TensorSize size;
  size.name = tensor.name;
  size.shape = tensor.shape;
  size.stored_as = dtype_name(tensor.dtype);
  size.elements = static_cast<std::uint64_t>(tensor.elements());
  size.bytes = tensor.bytes.size();
  size.zeros = share_of_zeros(tensor);
  return size;
}

}  // namespace

SizeReport measure_sizes(const std::filesystem::path& directory) {
  SizeReport report;
  if (Container::is_container(directory)) {
    const Container container(directory);
    for (const auto& [name, tensor] : container.coded()) report.tensors.push_back(measure_coded(tensor));
    for (const auto& [name, tensor] : container.plain()) report.tensors.push_back(measure_plain(tensor));
    // From the files, since the chunk index has bytes that belong to no one tensor.
    for (const auto& [name, tensor] : container.checkpoint().tensors())
      report.stored_bytes += tensor.bytes.size();
  } else {
    const std::unique_ptr<Checkpoint> opened = open_checkpoint(directory);
    const Checkpoint& checkpoint = *opened;
    for (const auto& [name, tensor] : checkpoint.tensors()) {
      report.tensors.push_back(measure_plain(tensor));
      report.stored_bytes += tensor.bytes.size();
      checkpoint.release(tensor);
    }
  }
  std::sort(report.tensors.begin(), report.tensors.end(),
            [](const TensorSize& a, const TensorSize& b) { return a.name < b.name; });
  double entropy_bits = 0;
  for (TensorSize& tensor : report.tensors) {
    if (tensor.elements > 0) {
      tensor.bits_per_weight = 8.0 * static_cast<double>(tensor.bytes) / static_cast<double>(tensor.elements);
    }
    report.elements += tensor.elements;
    report.int8_bytes += tensor.coded ? tensor.elements : tensor.bytes;
    if (!tensor.coded) continue;
    report.coded_elements += tensor.elements;
    report.coded_bytes += tensor.bytes;
    entropy_bits += tensor.entropy * static_cast<double>(tensor.elements);
  }
  report.fp16_bytes = 2 * report.elements;
  if (report.coded_elements > 0)
    report.coded_entropy = entropy_bits / static_cast<double>(report.coded_elements);
  report.directory_bytes = directory_bytes(directory);
  return report;
}

}  // namespace twofold
