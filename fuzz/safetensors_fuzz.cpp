// Headers of safetensors files. The input is either the file as it is, or the header's JSON and the size of
// the data, so that lengths need not be guessed. What is accepted must keep the promises of TensorView.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "tensor/safetensors.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace {

using namespace twofold;

// Bit 0 of the first byte set: the next byte is the size of the data, then JSON.
constexpr std::string_view kSeed =
    "\x01\x0e{\"__metadata__\":{\"format\":\"pt\"},\"w\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":"
    "[0,8]},"
    "\"e\":{\"dtype\":\"I8\",\"shape\":[0,3],\"data_offsets\":[8,8]},\"b\":{\"dtype\":\"BF16\",\"shape\":[3],"
    "\"data_offsets\":[8,14]}}  ";

std::vector<std::uint8_t> file_of(std::span<const std::uint8_t> input) {
  if (input.size() < 2 || (input[0] & 1) == 0) {
    return {input.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(input.size(), 1)), input.end()};
  }
  const auto json = input.subspan(2);
  std::vector<std::uint8_t> file(8 + json.size() + input[1]);
  const std::uint64_t length = json.size();
  std::memcpy(file.data(), &length, sizeof length);
  std::copy(json.begin(), json.end(), file.begin() + 8);
  return file;
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned int) {
  if (size < 16 && max_size >= kSeed.size()) {
    std::memcpy(data, kSeed.data(), kSeed.size());
    return kSeed.size();
  }
  return LLVMFuzzerMutate(data, size, max_size);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::vector<std::uint8_t> file = file_of({data, size});
  std::map<std::string, TensorView> tensors;
  std::map<std::string, std::string> metadata;
  std::span<const std::uint8_t> header;
  try {
    parse_safetensors(file, "input", tensors, metadata, header);
  } catch (const Error& error) {
    if (std::string_view(error.what()).find('\n') != std::string_view::npos) std::abort();
    return 0;
  }
  std::size_t total = header.size();
  for (const auto& [name, tensor] : tensors) {
    if (name != tensor.name || name.empty()) std::abort();
    if (tensor.bytes.size() != static_cast<std::uint64_t>(tensor.elements()) * dtype_bytes(tensor.dtype))
      std::abort();
    if (tensor.bytes.data() < file.data() + header.size()) std::abort();
    if (tensor.bytes.data() + tensor.bytes.size() > file.data() + file.size()) std::abort();
    total += tensor.bytes.size();
  }
  if (total != file.size()) std::abort();
  return 0;
}
