#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tensor/gguf.h"
#include "tensor/safetensors.h"

namespace twofold {

/// All tensors of a Hugging Face directory by name: `model.safetensors`, or the shards that
/// `model.safetensors.index.json` names. A missing shard, a tensor that the index places in a shard which
/// lacks it, a tensor in two shards, a shard path that leaves the directory: each is an Error.
class Checkpoint {
 public:
  explicit Checkpoint(const std::filesystem::path& directory);
  /// The tensors of a GGUF file under the names that the model knows them by; they view `file`.
  Checkpoint(std::unique_ptr<GgufFile> file, std::map<std::string, TensorView> tensors);

  /// The directory, or the path of the GGUF file.
  const std::filesystem::path& directory() const { return directory_; }
  const std::map<std::string, TensorView>& tensors() const { return tensors_; }
  const std::vector<std::unique_ptr<SafetensorsFile>>& files() const { return files_; }
  /// The GGUF file, or nullptr.
  const GgufFile* gguf() const { return gguf_.get(); }

  bool contains(const std::string& name) const { return tensors_.contains(name); }
  /// Throws Error when missing.
  const TensorView& at(const std::string& name) const;
  /// As `at`, and the shape must be this one. The message says which file and tensor, what was expected
  /// and what was found.
  const TensorView& at(const std::string& name, const std::vector<std::int64_t>& shape) const;

  /// Lets the system drop the tensor's pages.
  void release(const TensorView& tensor) const;
  void release_all() const;
  /// Where in its file a part begins that a tensor views. `file`: the tensor's.
  std::uint64_t offset_in_file(std::string_view file, std::span<const std::uint8_t> part) const;

 private:
  std::filesystem::path directory_;
  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::unique_ptr<GgufFile> gguf_;
  std::map<std::string, TensorView> tensors_;
};

}  // namespace twofold
