#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/gguf.h"

namespace twofold {

/// Writes GGUF files for tests: metadata and tensors in the order in which they are added.
class GgufBuilder {
 public:
  GgufBuilder& string(std::string_view key, std::string_view value) {
    begin(key, GgufType::kString);
    put_text(pairs_, value);
    return *this;
  }
  GgufBuilder& uint32(std::string_view key, std::uint32_t value) {
    return scalar(key, GgufType::kUint32, value);
  }
  GgufBuilder& float32(std::string_view key, float value) { return scalar(key, GgufType::kFloat32, value); }
  GgufBuilder& boolean(std::string_view key, bool value) {
    return scalar(key, GgufType::kBool, static_cast<std::uint8_t>(value));
  }
  template <typename T>
  GgufBuilder& scalar(std::string_view key, GgufType type, T value) {
    begin(key, type);
    put(pairs_, value);
    return *this;
  }
  GgufBuilder& strings(std::string_view key, const std::vector<std::string>& values) {
    begin_array(key, GgufType::kString, values.size());
    for (const std::string& value : values) put_text(pairs_, value);
    return *this;
  }
  template <typename T>
  GgufBuilder& array(std::string_view key, GgufType type, const std::vector<T>& values) {
    begin_array(key, type, values.size());
    for (const T value : values) put(pairs_, value);
    return *this;
  }

  /// `type` is GGML's number; `shape` outermost first. The data follows that of the tensor before, aligned.
  GgufBuilder& tensor(std::string_view name, const std::vector<std::int64_t>& shape, std::uint32_t type,
                      const std::vector<std::uint8_t>& bytes) {
    data_.resize((data_.size() + alignment - 1) / alignment * alignment);
    tensor_info(name, shape, type, data_.size());
    data_.insert(data_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  GgufBuilder& tensor_info(std::string_view name, const std::vector<std::int64_t>& shape, std::uint32_t type,
                           std::uint64_t offset) {
    ++tensor_count;
    put_text(infos_, name);
    put(infos_, static_cast<std::uint32_t>(shape.size()));
    for (auto dim = shape.rbegin(); dim != shape.rend(); ++dim) put(infos_, *dim);
    put(infos_, type);
    put(infos_, offset);
    return *this;
  }

  std::vector<std::uint8_t> build() const {
    std::vector<std::uint8_t> file = {'G', 'G', 'U', 'F'};
    put(file, version);
    put(file, tensor_count);
    put(file, pair_count);
    file.insert(file.end(), pairs_.begin(), pairs_.end());
    file.insert(file.end(), infos_.begin(), infos_.end());
    if (!infos_.empty()) file.resize((file.size() + alignment - 1) / alignment * alignment);
    file.insert(file.end(), data_.begin(), data_.end());
    return file;
  }

  // What the header says; tests of hostile files change it.
  std::uint32_t version = 3;
  std::uint64_t tensor_count = 0;
  std::uint64_t pair_count = 0;
  std::size_t alignment = 32;

 private:
  template <typename T>
  static void put(std::vector<std::uint8_t>& out, T value) {
    const auto at = out.size();
    out.resize(at + sizeof value);
    std::memcpy(&out[at], &value, sizeof value);
  }
  static void put_text(std::vector<std::uint8_t>& out, std::string_view text) {
    put(out, static_cast<std::uint64_t>(text.size()));
    out.insert(out.end(), text.begin(), text.end());
  }
  void begin(std::string_view key, GgufType type) {
    ++pair_count;
    put_text(pairs_, key);
    put(pairs_, static_cast<std::uint32_t>(type));
  }
  void begin_array(std::string_view key, GgufType type, std::size_t count) {
    begin(key, GgufType::kArray);
    put(pairs_, static_cast<std::uint32_t>(type));
    put(pairs_, static_cast<std::uint64_t>(count));
  }

  std::vector<std::uint8_t> pairs_;
  std::vector<std::uint8_t> infos_;
  std::vector<std::uint8_t> data_;
};

}  // namespace twofold
