#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "codec/codec.h"
#include "codec/plane_table.h"
#include "tensor/checkpoint.h"

namespace twofold {

class ThreadPool;

inline constexpr int kContainerVersion = 1;

/// An INT8 matrix stored coded, with what is needed to compute with it:
///   W[i][j] ~ scale[i or 0] * q[i][j] / input_scale[j].
/// Views into the checkpoint's mappings; valid as long as the Container.
class CodedTensor {
 public:
  std::string name;  // of the weight it replaces, "model.layers.0.mlp.up_proj.weight"
  const Codec* codec = nullptr;
  std::int64_t rows = 0;            // outputs
  std::int64_t cols = 0;            // input channels
  std::int64_t rows_per_chunk = 0;  // > 0; the last chunk may have fewer
  std::vector<float> scale;         // 1 (per tensor) or `rows` entries, > 0, finite
  std::vector<float> input_scale;   // s_j > 0: activations are divided by it; empty means all 1
  float activation_step = 0;        // static activation step, 0: per token

  std::int64_t chunks() const;
  std::int64_t chunk_begin(std::int64_t chunk) const { return chunk * rows_per_chunk; }  // first row
  std::int64_t chunk_rows(std::int64_t chunk) const;
  std::uint64_t chunk_offset(std::int64_t chunk) const;  // in `data`
  std::uint64_t chunk_size(std::int64_t chunk) const;    // bytes
  std::span<const std::uint8_t> chunk_bytes(std::int64_t chunk) const;

  /// Decodes a chunk into chunk_rows * cols weights. Errors name file, tensor and chunk. Thread-safe.
  void decode_chunk(std::int64_t chunk, std::span<std::int8_t> out) const;
  /// The weights where the codec stores them raw, else nullptr.
  const std::int8_t* direct(std::int64_t chunk) const { return direct(chunk, chunk_bytes(chunk)); }
  /// Compares the chunk with its checksum and its padding with zero; throws Error when they differ.
  void verify_chunk(std::int64_t chunk) const;

  // The same for those who hold the chunk's bytes, `coded`, somewhere else than in `data`.
  void decode_chunk(std::int64_t chunk, std::span<const std::uint8_t> coded,
                    std::span<std::int8_t> out) const;
  /// With each row's columns in the order decoder->column_order(), which is faster.
  void decode_chunk_in_order(std::int64_t chunk, std::span<const std::uint8_t> coded,
                             std::span<std::int8_t> out) const;
  /// A chunk of a codec whose decoder is a PlaneDecoder with a table(), at its first row.
  PlaneCursor open_planes(std::int64_t chunk, std::span<const std::uint8_t> coded) const;
  const std::int8_t* direct(std::int64_t chunk, std::span<const std::uint8_t> coded) const;
  void verify_chunk(std::int64_t chunk, std::span<const std::uint8_t> coded) const;

  /// Bytes of everything stored for this tensor: chunks with padding, its part of the index with table and
  /// scales, unless they are shared with a tensor before it.
  std::uint64_t stored_bytes = 0;

  // Filled by the container.
  std::span<const std::uint8_t> data;  // all chunks
  std::vector<std::uint64_t> index;    // per chunk: offset in data, bytes, XXH3
  std::unique_ptr<Decoder> decoder;
  std::string file;
};

/// Size and XXH3 of a file as config.json records them; for safetensors files the XXH3 is that of the header,
/// which holds the checksum of the index, which holds the others.
struct StoredFile {
  std::uint64_t bytes = 0;
  std::uint64_t xxh3 = 0;
};

/// A Twofold directory opened for reading.
class Container {
 public:
  /// True when config.json has a quantization_config with quant_method "twofold".
  static bool is_container(const std::filesystem::path& directory);

  /// Validates everything but the checksums of chunks, plain tensors and files (`verify` does those).
  /// Unknown versions, codecs, missing parts, sizes that do not fit: an Error that names file, tensor and
  /// field.
  explicit Container(const std::filesystem::path& directory);
  ~Container();
  Container(Container&&) noexcept;
  Container& operator=(Container&&) noexcept;

  const std::filesystem::path& directory() const { return checkpoint_.directory(); }
  const Json& config() const;  // config.json
  const Json& recipe() const;  // quantization_config
  const Checkpoint& checkpoint() const { return checkpoint_; }
  const std::map<std::string, CodedTensor>& coded() const { return coded_; }
  /// Tensors stored as they were (norms, biases, skipped weights) by name.
  const std::map<std::string, TensorView>& plain() const { return plain_; }
  /// XXH3 of the tensors that are not coded, by name.
  const std::map<std::string, std::uint64_t>& checksums() const { return checksums_; }
  /// The files of the container, but config.json, by name.
  const std::map<std::string, StoredFile>& files() const { return files_; }

  /// Checks every checksum and file size and decodes every chunk, chunks in parallel when a pool is given.
  /// `progress(bytes)` is called on this thread as work is done; the bytes add up to the sizes of `files()`.
  /// Throws the first Error.
  void verify(const std::function<void(std::uint64_t)>& progress, ThreadPool* pool = nullptr) const;

 private:
  std::shared_ptr<const Json> config_;  // shared, so that this header need not know the whole type
  Checkpoint checkpoint_;
  std::map<std::string, CodedTensor> coded_;
  std::map<std::string, TensorView> plain_;
  std::map<std::string, StoredFile> files_;
  std::map<std::string, std::uint64_t> checksums_;  // XXH3 of the tensors that are not coded, and the indexes
};

/// What ContainerWriter::add_coded takes beside the weights.
struct CodedTensorParts {
  std::string name;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::vector<float> scale;        // 1 or rows entries
  std::vector<float> input_scale;  // empty or cols entries, > 0, finite
  float activation_step = 0;       // static activation step, 0: per token
};
// Scales are stored in BF16 where that loses nothing, else in F32: whoever chooses them may round them
// first and save half. Tensors of one shard share identical scales and tables.

/// Writes a Twofold directory in one pass, one tensor in memory at a time, atomically.
class ContainerWriter {
 public:
  /// `weight_names`: every tensor that will be added (bounds the header). `max_shard_bytes`: a new shard is
  /// begun when a tensor might pass it (a coded one might take as much as its INT8 weights).
  ContainerWriter(const std::filesystem::path& destination, const std::vector<std::string>& weight_names,
                  std::uint64_t max_shard_bytes);
  ~ContainerWriter();

  /// Codes and stores a matrix, chunks in parallel. Returns the bytes stored for it, see
  /// CodedTensor::stored_bytes. Weights must be in -127..127, rows and cols in 1..2^31-1. Throws Interrupted.
  std::uint64_t add_coded(const CodedTensorParts& parts, std::span<const std::int8_t> weights,
                          const Codec& codec, ThreadPool& pool);
  /// Stores a tensor as it is. One whose size is not a multiple of 64 bytes is kept in memory until the
  /// shard ends.
  void add_plain(const TensorView& tensor);
  /// Copies a file (tokenizer.json ...) as it is.
  void copy_file(const std::filesystem::path& source);
  /// Writes a file made here instead of copied.
  void add_file(const std::string& name, std::string_view contents);

  /// Writes config.json: `config` with quantization_config = `recipe` + quant_method, version, tool version
  /// and the list of files with their sizes and checksums; then the index when there are several shards;
  /// syncs and renames. Nothing exists at the destination before this returns. Throws Error when a tensor
  /// of `weight_names` was not added.
  void commit(Json config, Json recipe);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace twofold
