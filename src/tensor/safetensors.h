#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "tensor/dtype.h"

namespace twofold {

/// One tensor of a file; `bytes` views the file's mapping. What a weight's floats are is told by read_floats
/// (tensor_floats.h), which knows the conventions of other files than safetensors.
struct TensorView {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<std::int64_t> shape;      // outermost first; empty for a scalar
  std::span<const std::uint8_t> bytes;  // row-major, little-endian
  std::string_view file;                // path, for messages

  // Conventions of GGUF files; without meaning in safetensors files.
  std::int64_t paired_rows =
      0;             // heads of so many rows store row i of each half beside each other; 0: none do
  float offset = 0;  // the weight is the stored number plus this

  std::int64_t elements() const;
};

/// A safetensors file, mapped. The constructor validates everything the format promises: header length,
/// JSON, known dtypes, shapes whose product does not overflow and matches the byte range, ranges that tile
/// the data without gap or overlap. Anything else is an Error that names the file and the tensor.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);

  const std::string& path() const { return mapping_->path(); }
  std::uint64_t bytes() const { return mapping_->bytes().size(); }
  const std::map<std::string, TensorView>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  /// The length field and the JSON header with its padding: what stands before the data.
  std::span<const std::uint8_t> header() const { return header_; }
  /// Lets the system drop the pages of a tensor that will not be read again soon.
  void release(const TensorView& tensor) const { mapping_->release(tensor.bytes); }
  void release_all() const { mapping_->release(mapping_->bytes()); }

 private:
  std::unique_ptr<MappedFile> mapping_;
  std::map<std::string, TensorView> tensors_;
  std::map<std::string, std::string> metadata_;
  std::span<const std::uint8_t> header_;
};

/// Parses header and ranges only; what the fuzzer feeds. Used by SafetensorsFile.
void parse_safetensors(std::span<const std::uint8_t> file, std::string_view path,
                       std::map<std::string, TensorView>& tensors,
                       std::map<std::string, std::string>& metadata, std::span<const std::uint8_t>& header);

/// Writes a safetensors file in one pass: tensors are appended as they come, the header is written at the
/// end and padded with spaces (which the format allows), so that the data begins on a 64-byte boundary.
/// Small files are held in memory until then and get a header that fits exactly; when the data passes
/// `kHeldBytes`, it goes to disk behind room reserved for the header.
class SafetensorsWriter {
 public:
  static constexpr std::uint64_t kHeldBytes = std::uint64_t{32} << 20;

  /// `reserved_header_bytes`: an upper bound on the JSON, see `header_bytes_bound`.
  SafetensorsWriter(const std::filesystem::path& path, std::uint64_t reserved_header_bytes);
  ~SafetensorsWriter();

  /// Starts a tensor. Its bytes follow by `write`, in any number of pieces, until `end_tensor`, which
  /// throws Error when they are not what dtype and shape say.
  /// dtype U8 tensors of unknown size may be begun with shape {-1}: `end_tensor` fills it in.
  void begin_tensor(const std::string& name, DType dtype, std::vector<std::int64_t> shape);
  void write(std::span<const std::uint8_t> bytes);
  void end_tensor();
  void add(const std::string& name, DType dtype, std::vector<std::int64_t> shape,
           std::span<const std::uint8_t> bytes);

  std::uint64_t data_bytes() const;    // written so far, without the header
  std::uint64_t header_bytes() const;  // of the JSON so far, without metadata and padding

  /// Writes the header with `metadata` as `__metadata__` and syncs. Returns the file's size and the XXH3 of
  /// the header bytes (length field, JSON, padding). Throws Error when the reserve was too small.
  struct Summary {
    std::uint64_t bytes = 0;
    std::uint64_t header_xxh3 = 0;
  };
  Summary finish(const std::map<std::string, std::string>& metadata);

  /// Largest header entry for a tensor of this name (any dtype, up to 8 dimensions), in bytes. The JSON
  /// is these, the metadata and 32 bytes at most.
  static std::uint64_t header_bytes_bound(std::string_view name);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace twofold
