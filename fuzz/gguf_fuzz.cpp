// GGUF files of any bytes: they are refused with an Error of one line, or what is accepted keeps the promises
// of GgufFile.

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "tensor/gguf.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace {

using namespace twofold;

template <typename T>
void put(std::vector<std::uint8_t>& file, T value) {
  const auto at = file.size();
  file.resize(at + sizeof value);
  std::memcpy(&file[at], &value, sizeof value);
}

void put_text(std::vector<std::uint8_t>& file, std::string_view text) {
  put<std::uint64_t>(file, text.size());
  file.insert(file.end(), text.begin(), text.end());
}

void put_key(std::vector<std::uint8_t>& file, std::string_view key, GgufType type) {
  put_text(file, key);
  put(file, type);
}

std::vector<std::uint8_t> seed() {
  std::vector<std::uint8_t> file = {'G', 'G', 'U', 'F', 3, 0, 0, 0};
  put<std::uint64_t>(file, 1);
  put<std::uint64_t>(file, 4);
  put_key(file, "general.alignment", GgufType::kUint32);
  put<std::uint32_t>(file, 8);
  put_key(file, "s", GgufType::kString);
  put_text(file, "text");
  put_key(file, "a", GgufType::kArray);
  put(file, GgufType::kString);
  put<std::uint64_t>(file, 2);
  put_text(file, "x");
  put_text(file, "");
  put_key(file, "n", GgufType::kArray);
  put(file, GgufType::kInt32);
  put<std::uint64_t>(file, 2);
  put<std::uint64_t>(file, 5);
  put_text(file, "w");
  put<std::uint32_t>(file, 2);
  put<std::uint64_t>(file, 32);
  put<std::uint64_t>(file, 1);
  put<std::uint32_t>(file, 8);
  put<std::uint64_t>(file, 0);
  file.resize((file.size() + 7) / 8 * 8 + 34);
  return file;
}

template <typename Read>
void expect_error_or_value(Read&& read) {
  try {
    read();
  } catch (const Error& error) {
    if (std::string_view(error.what()).find('\n') != std::string_view::npos) std::abort();
  }
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned int) {
  const std::vector<std::uint8_t> file = seed();
  if (size < 16 && max_size >= file.size()) {
    std::memcpy(data, file.data(), file.size());
    return file.size();
  }
  return LLVMFuzzerMutate(data, size, max_size);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  expect_error_or_value([&] {
    const GgufFile gguf({data, size}, "input");
    for (const auto& [key, value] : gguf.metadata()) {
      expect_error_or_value([&, &name = key] { gguf.string(name); });
      expect_error_or_value([&, &name = key] { gguf.integer(name, -5, 5); });
      expect_error_or_value([&, &name = key] { gguf.number(name, -5, 5); });
      expect_error_or_value([&, &name = key] { gguf.boolean(name); });
      expect_error_or_value([&, &name = key, &array = value] {
        if (gguf.strings(name).size() != array.count) std::abort();
      });
      expect_error_or_value([&, &name = key] { gguf.integers(name); });
      expect_error_or_value([&, &name = key] { gguf.numbers(name); });
    }
    for (const auto& [name, tensor] : gguf.tensors()) {
      if (name != tensor.name || name.empty()) std::abort();
      if (tensor.bytes.data() < data + gguf.header().size()) std::abort();
      if (tensor.bytes.data() + tensor.bytes.size() > data + size) std::abort();
      const auto elements = static_cast<std::uint64_t>(tensor.elements());
      if (tensor.bytes.size() != elements / dtype_block(tensor.dtype) * dtype_bytes(tensor.dtype))
        std::abort();
    }
  });
  return 0;
}
