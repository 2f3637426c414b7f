#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "tensor/safetensors.h"

namespace twofold {

/// Types of metadata values, numbered as in the file.
enum class GgufType : std::uint32_t {
  kUint8,
  kInt8,
  kUint16,
  kInt16,
  kUint32,
  kInt32,
  kFloat32,
  kBool,
  kString,
  kArray,
  kUint64,
  kInt64,
  kFloat64
};

/// One metadata value; `bytes` views the file. The accessors of GgufFile read it.
struct GgufValue {
  GgufType type = GgufType::kUint8;  // of the value, of the elements where it is an array
  bool array = false;
  std::uint64_t count = 1;              // elements
  std::span<const std::uint8_t> bytes;  // little-endian scalars; a string's text; strings with their lengths
};

/// A GGUF file of version 2 or 3 (little-endian): metadata and tensors, mapped, nothing copied. The
/// constructor validates all that the format promises: counts and lengths against the size of the file, known
/// types, no key or tensor twice, aligned tensors that neither overlap nor leave the file. Anything else is
/// an Error that names the file, the key or tensor, what was expected and what was found. Arrays of arrays,
/// which no model has, are refused.
///
/// Text in the file may hold any bytes; only keys and tensor names are known to be free of control
/// characters. Views live as long as the object.
class GgufFile {
 public:
  explicit GgufFile(const std::filesystem::path& path);
  /// Views `bytes`, which must outlive the object; `path` is for messages.
  GgufFile(std::span<const std::uint8_t> bytes, std::string path);
  GgufFile(const GgufFile&) = delete;
  GgufFile& operator=(const GgufFile&) = delete;

  const std::string& path() const { return path_; }
  std::uint64_t bytes() const { return bytes_.size(); }
  /// The bytes before the first tensor: a file of its own but for the tensors it describes.
  std::span<const std::uint8_t> header() const { return header_; }
  /// A file with all the metadata and no tensors.
  std::string without_tensors() const;

  const std::map<std::string, GgufValue, std::less<>>& metadata() const { return metadata_; }
  /// Tensors by name; shapes outermost first, as everywhere else.
  const std::map<std::string, TensorView>& tensors() const { return tensors_; }
  /// Lets the system drop the pages of a tensor that will not be read again soon.
  void release(const TensorView& tensor) const;
  void release_all() const;

  bool has(std::string_view key) const { return metadata_.find(key) != metadata_.end(); }
  /// Typed access. A key that is missing is an Error where no fallback is given; one of another type, or out
  /// of range, always. Any integer type is taken for an integer, and integers too for a number.
  std::string_view string(std::string_view key,
                          std::optional<std::string_view> fallback = std::nullopt) const;
  std::int64_t integer(std::string_view key, std::int64_t min, std::int64_t max,
                       std::optional<std::int64_t> fallback = std::nullopt) const;
  double number(std::string_view key, double min, double max,
                std::optional<double> fallback = std::nullopt) const;
  bool boolean(std::string_view key, std::optional<bool> fallback = std::nullopt) const;
  /// Arrays; the key must be there (see `has`).
  std::vector<std::string_view> strings(std::string_view key) const;
  std::vector<std::int64_t> integers(std::string_view key) const;  // of any integer type or bool
  std::vector<float> numbers(std::string_view key) const;          // of float32 or float64

 private:
  void parse();
  const GgufValue* find(std::string_view key, bool required) const;
  const GgufValue& array(std::string_view key, std::string_view expected) const;
  [[noreturn]] void fail_type(std::string_view key, std::string_view expected, const GgufValue& found) const;

  std::unique_ptr<MappedFile> mapping_;  // null for a view
  std::span<const std::uint8_t> bytes_;
  std::string path_;
  std::span<const std::uint8_t> header_;
  std::span<const std::uint8_t> metadata_bytes_;
  std::map<std::string, GgufValue, std::less<>> metadata_;
  std::map<std::string, TensorView> tensors_;
};

}  // namespace twofold
