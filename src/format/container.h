#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "codec/codec.h"
#include "tensor/checkpoint.h"

namespace twofold {

inline constexpr int kContainerVersion = 1;

/// An INT8 matrix stored coded, with what is needed to compute with it:
///   W[i][j] ~ scale[i or 0] * q[i][j] / input_scale[j].
/// Views into the checkpoint's mappings; valid as long as the Container.
class CodedTensor {
 public:
  std::string name;                         // of the weight it replaces, "model.layers.0.mlp.up_proj.weight"
  const Codec* codec = nullptr;
  std::int64_t rows = 0;                    // outputs
  std::int64_t cols = 0;                    // input channels
  std::int64_t rows_per_chunk = 0;          // > 0; the last chunk may have fewer
  std::vector<float> scale;                 // 1 (per tensor) or `rows` entries, > 0, finite
  std::vector<float> input_scale;           // s_j: activations are divided by it; empty means all 1
  float activation_step = 0;                // static activation step, 0: per token

  std::int64_t chunks() const;
  std::int64_t chunk_begin(std::int64_t chunk) const { return chunk * rows_per_chunk; }  // first row
  std::int64_t chunk_rows(std::int64_t chunk) const;
  std::span<const std::uint8_t> chunk_bytes(std::int64_t chunk) const;

  /// Decodes a chunk into chunk_rows * cols weights. Errors name file, tensor and chunk. Thread-safe.
  void decode_chunk(std::int64_t chunk, std::span<std::int8_t> out) const;
  /// The weights where the codec stores them raw, else nullptr.
  const std::int8_t* direct(std::int64_t chunk) const;
  /// Compares the chunk with its checksum; throws Error when they differ.
  void verify_chunk(std::int64_t chunk) const;

  /// Bytes of everything stored for this tensor: chunks with padding, index, table, scales it does not
  /// share with a tensor before it.
  std::uint64_t stored_bytes = 0;

  // Filled by the container.
  std::span<const std::uint8_t> data;                 // all chunks
  std::vector<std::uint64_t> index;                   // per chunk: offset in data, bytes, XXH3
  std::unique_ptr<Decoder> decoder;
  std::string file;
};

/// A Twofold directory opened for reading.
class Container {
 public:
  /// True when config.json has a quantization_config with quant_method "twofold".
  static bool is_container(const std::filesystem::path& directory);

  /// Validates everything but the checksums (`verify` does those). Unknown versions, codecs, missing parts,
  /// sizes that do not fit: an Error that names file, tensor and field.
  explicit Container(const std::filesystem::path& directory);

  const std::filesystem::path& directory() const { return checkpoint_.directory(); }
  const Json& config() const;                                    // config.json
  const Json& recipe() const;                                    // quantization_config
  const Checkpoint& checkpoint() const { return checkpoint_; }
  const std::map<std::string, CodedTensor>& coded() const { return coded_; }
  /// Tensors stored as they were (norms, biases, skipped weights) by name.
  const std::map<std::string, TensorView>& plain() const { return plain_; }

  /// Checks every checksum and file size and decodes every chunk. `progress(bytes)` is called as work is
  /// done. Throws the first Error.
  void verify(const std::function<void(std::uint64_t)>& progress) const;

 private:
  std::unique_ptr<Json> config_;
  Checkpoint checkpoint_;
  std::map<std::string, CodedTensor> coded_;
  std::map<std::string, TensorView> plain_;
};

/// What ContainerWriter::add_coded takes beside the weights.
struct CodedTensorParts {
  std::string name;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::vector<float> scale;         // 1 or rows entries
  std::vector<float> input_scale;   // empty or cols entries, each exactly representable in BF16
  float activation_step = 0;
};

/// Writes a Twofold directory in one pass, one tensor in memory at a time, atomically.
class ContainerWriter {
 public:
  /// `weight_names`: every tensor that will be added (bounds the header). `max_shard_bytes`: a new shard is
  /// begun when a tensor would pass it.
  ContainerWriter(const std::filesystem::path& destination, std::vector<std::string> weight_names,
                  std::uint64_t max_shard_bytes);
  ~ContainerWriter();

  /// Codes and stores a matrix, chunks in parallel. Returns the bytes stored for it.
  std::uint64_t add_coded(const CodedTensorParts& parts, std::span<const std::int8_t> weights, const Codec& codec,
                          class ThreadPool& pool);
  void add_plain(const TensorView& tensor);
  /// Copies a file (tokenizer.json ...) as it is.
  void copy_file(const std::filesystem::path& source);

  /// Writes config.json: `config` with quantization_config = `recipe` + quant_method, version, tool version
  /// and the list of files with their sizes and checksums; then the index when there are several shards;
  /// syncs and renames. Nothing exists at the destination before this returns.
  void commit(Json config, Json recipe);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace twofold
