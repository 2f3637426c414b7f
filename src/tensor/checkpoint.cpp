#include "tensor/checkpoint.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <system_error>

#include "base/error.h"
#include "base/json.h"

namespace twofold {

namespace fs = std::filesystem;

namespace {

constexpr const char* kSingle = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";
constexpr std::uint64_t kMaxIndexBytes = 100'000'000;

[[noreturn]] void fail_without_model(const fs::path& directory) {
  const std::string name = directory.string();
  std::error_code error;
  if (!fs::exists(directory, error)) fail("{}: no such directory", name);
  if (!fs::is_directory(directory, error)) fail("{}: not a directory", name);
  for (const char* other : {"pytorch_model.bin", "pytorch_model.bin.index.json", "consolidated.00.pth"}) {
    if (fs::exists(directory / other, error)) {
      fail("{}: has {} but no {}: only safetensors files are read; convert the model first", name, other,
           kSingle);
    }
  }
  fail("{}: has neither {} nor {}", name, kSingle, kIndex);
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (const std::int64_t dim : shape) text += fmt::format("{}{}", text.size() > 1 ? ", " : "", dim);
  return text + "]";
}

}  // namespace

Checkpoint::Checkpoint(const fs::path& directory) : directory_(directory) {
  std::error_code error;
  std::map<std::string, std::string> shard_of;  // as the index says
  std::set<std::string> shards;
  const fs::path index_path = directory / kIndex;
  if (fs::exists(directory / kSingle, error)) {
    shards.insert(kSingle);
  } else if (fs::exists(index_path, error)) {
    const Json index = read_json_file(index_path, kMaxIndexBytes);
    for (const auto& [tensor, shard] : json_object(index, "weight_map", index_path.string()).items()) {
      const std::string name = shard.is_string() ? shard.get<std::string>() : std::string();
      if (!is_plain_file_name(name)) {
        fail("{}: \"weight_map\": tensor {}: expected the name of a file in the same directory, found {}",
             index_path.string(), json_quote(tensor), shard.is_string() ? json_quote(name) : "no string");
      }
      shards.insert(name);
      shard_of.emplace(tensor, name);
    }
    if (shards.empty()) fail("{}: \"weight_map\" is empty", index_path.string());
  } else {
    fail_without_model(directory);
  }

  std::map<std::string, const SafetensorsFile*> opened;
  for (const std::string& shard : shards) {
    if (!fs::exists(directory / shard, error)) {
      fail("{}: no such file, but {} names it", (directory / shard).string(), kIndex);
    }
    const auto& file = files_.emplace_back(std::make_unique<SafetensorsFile>(directory / shard));
    opened.emplace(shard, file.get());
    for (const auto& [name, tensor] : file->tensors()) {
      const auto [it, added] = tensors_.emplace(name, tensor);
      if (!added) fail("{}: tensor {}: {} has it too", file->path(), json_quote(name), it->second.file);
    }
  }
  for (const auto& [tensor, shard] : shard_of) {
    if (!opened.at(shard)->tensors().contains(tensor)) {
      fail("{}: tensor {} is missing, but {} places it there", opened.at(shard)->path(), json_quote(tensor),
           kIndex);
    }
  }
}

Checkpoint::Checkpoint(std::unique_ptr<GgufFile> file, std::map<std::string, TensorView> tensors)
    : directory_(file->path()), gguf_(std::move(file)), tensors_(std::move(tensors)) {}

const TensorView& Checkpoint::at(const std::string& name) const {
  const auto it = tensors_.find(name);
  if (it != tensors_.end()) return it->second;
  fail("{}: no tensor {}", files_.size() == 1 ? files_.front()->path() : directory_.string(),
       json_quote(name));
}

const TensorView& Checkpoint::at(const std::string& name, const std::vector<std::int64_t>& shape) const {
  const TensorView& tensor = at(name);
  if (tensor.shape != shape) {
    fail("{}: tensor {}: expected shape {}, found {}", tensor.file, json_quote(name), shape_text(shape),
         shape_text(tensor.shape));
  }
  return tensor;
}

void Checkpoint::release(const TensorView& tensor) const {
  if (gguf_) gguf_->release(tensor);
  for (const auto& file : files_) {
    if (file->path() == tensor.file) file->release(tensor);
  }
}

void Checkpoint::release_all() const {
  if (gguf_) gguf_->release_all();
  for (const auto& file : files_) file->release_all();
}

std::uint64_t Checkpoint::offset_in_file(std::string_view file, std::span<const std::uint8_t> part) const {
  if (part.empty()) return 0;
  const std::uint8_t* begin = gguf_ ? gguf_->header().data() : nullptr;
  for (const auto& shard : files_) {
    if (shard->path() == file) begin = shard->header().data();
  }
  return static_cast<std::uint64_t>(part.data() - begin);
}

}  // namespace twofold
