#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/version.h"
#include "format/container.h"
#include "format/shard_writer.h"

namespace twofold {

namespace fs = std::filesystem;

namespace {

std::string json_text(const Json& json) {
  // Names of files in a recipe need not be UTF-8.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string shard_name(std::size_t number, std::size_t count) {
  return count == 1 ? kSingleFile : fmt::format("model-{:05}-of-{:05}.safetensors", number, count);
}

/// While it is not known how many shards there will be.
std::string staged_shard_name(std::size_t number) {
  return fmt::format("model-{:05}.safetensors", number);
}

bool is_reserved_file_name(const std::string& name) {
  return name == "config.json" || name == kShardList ||
         (name.starts_with("model") && name.ends_with(".safetensors"));
}

}  // namespace

struct ContainerWriter::Impl {
  Impl(const fs::path& destination, std::uint64_t shard_bytes)
      : max_shard_bytes(shard_bytes), staged(destination) {}

  /// Makes room for a tensor of at most `bytes`: a new shard when the current one would grow too large.
  ShardWriter& shard_for(const std::string& name, std::uint64_t bytes) {
    if (expected.erase(name) == 0) {
      fail("tensor {}: added twice or not among the names that were announced", json_quote(name));
    }
    bytes += ShardWriter::header_bytes_bound(name);
    if (shard && !shard->empty() && (bytes > max_shard_bytes || shard->bytes() > max_shard_bytes - bytes)) {
      finish_shard();
    }
    if (!shard) {
      std::uint64_t reserve = ShardWriter::header_bytes_bound(name);
      for (const std::string& other : expected) reserve += ShardWriter::header_bytes_bound(other);
      const std::size_t number = finished.size() + 1;
      shard.emplace(staged.path() / staged_shard_name(number), number, reserve);
    }
    return *shard;
  }

  void finish_shard() {
    finished.push_back(shard->finish());
    shard.reset();
  }

  /// Writes a file of the container's own and records it.
  void write(const std::string& name, std::string_view text) {
    write_file(staged.path() / name, text);
    files[name] = {text.size(), xxh3(as_bytes(text))};
  }

  std::uint64_t max_shard_bytes;
  StagedDirectory staged;
  std::set<std::string> expected;  // names not added yet
  std::optional<ShardWriter> shard;
  std::vector<ShardWriter::Summary> finished;
  std::map<std::string, StoredFile> files;
};

ContainerWriter::ContainerWriter(const fs::path& destination, const std::vector<std::string>& weight_names,
                                 std::uint64_t max_shard_bytes)
    : impl_(std::make_unique<Impl>(destination, max_shard_bytes)) {
  for (const std::string& name : weight_names) {
    if (name.empty() || name.ends_with(kCodedSuffix) || name.starts_with(kIndexPrefix)) {
      fail("tensor {}: the name is reserved", json_quote(name));
    }
    if (!impl_->expected.insert(name).second) fail("tensor {}: the name appears twice", json_quote(name));
  }
}

ContainerWriter::~ContainerWriter() = default;

std::uint64_t ContainerWriter::add_coded(const CodedTensorParts& parts, std::span<const std::int8_t> weights,
                                         const Codec& codec, ThreadPool& pool) {
  return impl_->shard_for(parts.name, ShardWriter::coded_bytes_bound(parts))
      .add_coded(parts, weights, codec, pool);
}

void ContainerWriter::add_plain(const TensorView& tensor) {
  impl_->shard_for(tensor.name, tensor.bytes.size()).add_plain(tensor);
}

void ContainerWriter::copy_file(const fs::path& source) {
  const std::string name = source.filename().string();
  if (is_reserved_file_name(name) || impl_->files.contains(name)) {
    fail("{}: the container has a file of this name already", source.string());
  }
  const MappedFile file(source);
  FileWriter copy(impl_->staged.path() / name);
  copy.write(file.bytes());
  copy.close();
  impl_->files[name] = {file.bytes().size(), xxh3(file.bytes())};
}

void ContainerWriter::add_file(const std::string& name, std::string_view contents) {
  if (!is_plain_file_name(name) || is_reserved_file_name(name) || impl_->files.contains(name)) {
    fail("file {}: the name is reserved or used already", json_quote(name));
  }
  impl_->write(name, contents);
}

void ContainerWriter::commit(Json config, Json recipe) {
  Impl& impl = *impl_;
  if (!impl.expected.empty()) fail("tensor {}: announced but not added", json_quote(*impl.expected.begin()));
  if (impl.shard) impl.finish_shard();
  const std::size_t count = impl.finished.size();
  if (count == 0) fail("{}: no tensors were added", impl.staged.path().string());

  Json weight_map = Json::object();
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const ShardWriter::Summary& shard = impl.finished[i];
    const std::string name = shard_name(i + 1, count);
    std::error_code error;
    fs::rename(impl.staged.path() / staged_shard_name(i + 1), impl.staged.path() / name, error);
    if (error)
      fail("{}: cannot rename a shard to it: {}", (impl.staged.path() / name).string(), error.message());
    impl.files[name] = shard.file;
    total += shard.data_bytes;
    for (const std::string& tensor : shard.tensors) weight_map[tensor] = name;
  }
  if (count > 1) {
    impl.write(kShardList, json_text({{"metadata", {{"total_size", total}}}, {"weight_map", weight_map}}));
  }

  Json files = Json::object();
  for (const auto& [name, file] : impl.files)
    files[name] = {{"bytes", file.bytes}, {"xxh3", hex64(file.xxh3)}};
  recipe["quant_method"] = "twofold";
  recipe["version"] = kContainerVersion;
  recipe["tool_version"] = TWOFOLD_VERSION;
  recipe["files"] = std::move(files);
  config["quantization_config"] = std::move(recipe);
  write_file(impl.staged.path() / "config.json", json_text(config));
  impl.staged.commit();
}

}  // namespace twofold
