#pragma once

#include <algorithm>
#include <cstring>

#include "format/fixture.h"
#include "format/shard.h"
#include "format/shard_index.h"

namespace twofold {

/// A container of one shard taken apart, to be changed and put together again with checksums that fit.
struct EditableShard {
  struct Tensor {
    DType dtype;
    std::vector<std::int64_t> shape;
    Bytes bytes;
  };
  std::vector<std::pair<std::string, Tensor>> tensors;  // in the order of the file
  std::map<std::string, std::string> metadata;
  Json config;
  bool sign_index = true;
  bool sign_config = true;

  explicit EditableShard(const std::filesystem::path& directory)
      : config(read_json_file(directory / "config.json")) {
    const SafetensorsFile file(directory / "model.safetensors");
    metadata = file.metadata();
    std::vector<const TensorView*> views;
    for (const auto& [name, view] : file.tensors()) views.push_back(&view);
    std::sort(views.begin(), views.end(), [](auto* a, auto* b) { return a->bytes.data() < b->bytes.data(); });
    for (const TensorView* view : views) {
      tensors.emplace_back(view->name,
                           Tensor{view->dtype, view->shape, {view->bytes.begin(), view->bytes.end()}});
    }
  }

  Tensor& at(const std::string& name) {
    for (auto& [other, tensor] : tensors) {
      if (other == name) return tensor;
    }
    throw std::runtime_error("no tensor " + name);
  }

  Bytes& index() { return at("twofold.index.1").bytes; }

  /// Number `position` of the coded tensors, in the order of their names.
  StoredRecord record(std::size_t position) {
    StoredRecord stored;
    std::memcpy(&stored, index().data() + 8 + position * sizeof stored, sizeof stored);
    return stored;
  }

  void change_record(std::size_t position, const std::function<void(StoredRecord&)>& change) {
    StoredRecord stored = record(position);
    change(stored);
    std::memcpy(index().data() + 8 + position * sizeof stored, &stored, sizeof stored);
  }

  /// The metadata of the container.
  void change_metadata(const std::function<void(Json&)>& change) {
    Json json = parse_json(metadata.at(kShardMetadata), "test");
    change(json);
    metadata[kShardMetadata] = json.dump();
  }

  Json& files() { return config["quantization_config"]["files"]; }

  void store(const std::filesystem::path& directory) {
    if (sign_index) {
      change_metadata([&](Json& json) { json["index_xxh3"] = hex64(xxh3(index())); });
    }
    std::filesystem::remove(directory / "model.safetensors");
    SafetensorsWriter writer(directory / "model.safetensors", 0);
    for (const auto& [name, tensor] : tensors) writer.add(name, tensor.dtype, tensor.shape, tensor.bytes);
    const auto summary = writer.finish(metadata);
    if (sign_config)
      files()["model.safetensors"] = {{"bytes", summary.bytes}, {"xxh3", hex64(summary.header_xxh3)}};
    std::filesystem::remove(directory / "config.json");
    write_file(directory / "config.json", config.dump());
  }
};

}  // namespace twofold
