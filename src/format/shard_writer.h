#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "format/container.h"
#include "format/shard.h"
#include "format/shard_index.h"
#include "tensor/safetensors.h"

namespace twofold {

/// Writes one safetensors file of a container. Tensors whose size is a multiple of 64 bytes, which all coded
/// ones are, go to the file at once; the others wait for the end, behind the index, so that every chunk
/// begins at a multiple of 64 bytes and every element at a multiple of its size.
class ShardWriter {
 public:
  /// `number`: from 1. `reserved_header_bytes`: for the tensors, see SafetensorsWriter.
  ShardWriter(const std::filesystem::path& path, std::size_t number, std::uint64_t reserved_header_bytes);

  /// As ContainerWriter::add_coded.
  std::uint64_t add_coded(const CodedTensorParts& parts, std::span<const std::int8_t> weights,
                          const Codec& codec, ThreadPool& pool);
  void add_plain(const TensorView& tensor);

  bool empty() const { return names_.empty(); }
  /// Bytes the file would have if it ended here, or a few more.
  std::uint64_t bytes() const;

  struct Summary {
    StoredFile file;
    std::uint64_t data_bytes = 0;
    std::vector<std::string> tensors;  // as stored
  };
  Summary finish();

  /// The most bytes the matrix may take, if the codec does not expand it.
  static std::uint64_t coded_bytes_bound(const CodedTensorParts& parts);
  /// Header room for a tensor of this name, coded or not.
  static std::uint64_t header_bytes_bound(const std::string& name);

 private:
  struct Waiting {
    TensorView tensor;
    std::vector<std::uint8_t> bytes;
  };
  std::uint32_t codec_number(const Codec& codec);
  void write_plain(const TensorView& tensor, std::span<const std::uint8_t> bytes);

  SafetensorsWriter writer_;
  ShardIndexBuilder index_;
  ShardMetadata metadata_;
  std::vector<Waiting> waiting_;
  std::uint64_t waiting_bytes_ = 0;
  std::vector<std::string> names_;
};

}  // namespace twofold
