#include "format/shard.h"

#include <charconv>
#include <nlohmann/json.hpp>

#include "base/aligned.h"
#include "base/error.h"
#include "base/hash.h"
#include "format/shard_index.h"

namespace twofold {

namespace {

const TensorView& index_tensor(std::string_view path, const std::map<std::string, TensorView>& tensors,
                               const ShardMetadata& metadata) {
  const auto it = tensors.find(metadata.index);
  if (it == tensors.end() || !metadata.index.starts_with(kIndexPrefix)) {
    fail("{}: \"__metadata__\": twofold: \"index\": no tensor {}", path, json_quote(metadata.index));
  }
  if (it->second.dtype != DType::kU8 || it->second.shape.size() != 1) {
    fail("{}: tensor {}: expected one dimension of U8", path, json_quote(metadata.index));
  }
  const std::uint64_t found = xxh3(it->second.bytes);
  if (found != metadata.index_xxh3) {
    fail("{}: tensor {}: checksum {}, expected {}: the file is damaged", path, json_quote(metadata.index),
         hex64(found), hex64(metadata.index_xxh3));
  }
  return it->second;
}

/// Fills in what follows from the record and the chunks' bytes.
CodedTensor open_coded(const std::string& name, const TensorView& data, CodedRecord record,
                       const Codec& codec) {
  const std::string where = fmt::format("{}: tensor {}", data.file, json_quote(data.name));
  if (data.dtype != DType::kU8 || data.shape.size() != 1) fail("{}: expected one dimension of U8", where);
  if (!data.bytes.empty() && reinterpret_cast<std::uintptr_t>(data.bytes.data()) % kAlignment != 0) {
    fail("{}: \"data_offsets\": expected to begin at a multiple of {} bytes in the file", where, kAlignment);
  }
  CodedTensor tensor;
  tensor.name = name;
  tensor.codec = &codec;
  tensor.rows = record.rows;
  tensor.cols = record.cols;
  tensor.rows_per_chunk = record.rows_per_chunk;
  tensor.scale = std::move(record.scale);
  tensor.input_scale = std::move(record.input_scale);
  tensor.activation_step = record.activation_step;
  tensor.data = data.bytes;
  tensor.file = std::string(data.file);
  tensor.stored_bytes = data.bytes.size() + record.stored_bytes;
  tensor.index.reserve(3 * record.chunks.size());
  std::uint64_t offset = 0;
  for (const ChunkRecord& chunk : record.chunks) {
    tensor.index.insert(tensor.index.end(), {offset, chunk.bytes, chunk.xxh3});
    offset += align_up(chunk.bytes);
  }
  if (offset != data.bytes.size()) {
    fail("{}: \"shape\": {} bytes, expected {} from the index", where, data.bytes.size(), offset);
  }
  try {
    tensor.decoder = codec.make_decoder(record.table, record.cols);
  } catch (const Error& error) {
    fail("{}: tensor {}: table: {}", data.file, json_quote(name), error.what());
  }
  return tensor;
}

std::vector<const Codec*> find_codecs(const ShardMetadata& metadata, std::string_view path) {
  std::vector<const Codec*> found;
  for (const std::string& name : metadata.codecs) {
    try {
      found.push_back(&find_codec(name));
    } catch (const Error& error) {
      fail("{}: \"__metadata__\": twofold: \"codecs\": {}", path, error.what());
    }
  }
  return found;
}

}  // namespace

void check_container_version(const Json& object, std::string_view where) {
  const std::int64_t version = json_int(object, "version", where, 1, INT64_MAX);
  if (version > kContainerVersion) {
    fail("{}: written by a newer Twofold (container version {}, this program reads {})", where, version,
         kContainerVersion);
  }
}

std::uint64_t json_hex64(const Json& object, std::string_view key, std::string_view where) {
  const std::string text = json_string(object, key, where);
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (hex64(value) != text) {
    fail("{}: \"{}\": expected 16 hexadecimal digits, found {}", where, key, json_quote(text));
  }
  return value;
}

ShardMetadata parse_shard_metadata(std::string_view json, std::string_view where) {
  const Json parsed = parse_json(json, where);
  check_container_version(parsed, where);
  ShardMetadata metadata;
  metadata.index = json_string(parsed, "index", where);
  metadata.index_xxh3 = json_hex64(parsed, "index_xxh3", where);
  for (const Json& codec : json_array(parsed, "codecs", where)) {
    if (!codec.is_string()) fail("{}: \"codecs\": expected names", where);
    metadata.codecs.push_back(codec.get<std::string>());
  }
  return metadata;
}

std::string format_shard_metadata(const ShardMetadata& metadata) {
  return Json{{"version", kContainerVersion},
              {"index", metadata.index},
              {"index_xxh3", hex64(metadata.index_xxh3)},
              {"codecs", metadata.codecs}}
      .dump();
}

ShardContents read_shard(std::string_view path, const std::map<std::string, TensorView>& tensors,
                         const std::map<std::string, std::string>& metadata) {
  const auto json = metadata.find(kShardMetadata);
  if (json == metadata.end()) fail("{}: \"__metadata__\": missing field \"{}\"", path, kShardMetadata);
  const ShardMetadata shard =
      parse_shard_metadata(json->second, fmt::format("{}: \"__metadata__\": {}", path, kShardMetadata));
  const TensorView& index = index_tensor(path, tensors, shard);
  const std::vector<const Codec*> codecs = find_codecs(shard, path);

  std::map<std::string, const TensorView*> data;  // by the name of the weight, whose order the index has
  std::vector<std::string> plain_names;
  ShardContents contents;
  for (const auto& [name, tensor] : tensors) {
    if (name.ends_with(kCodedSuffix)) {
      data.emplace(name.substr(0, name.size() - kCodedSuffix.size()), &tensor);
    } else if (name != shard.index) {
      plain_names.push_back(name);
      contents.plain.emplace(name, tensor);
    }
  }
  std::vector<std::string> coded_names;
  for (const auto& [name, tensor] : data) {
    if (name.empty() || contents.plain.contains(name)) {
      fail("{}: tensor {}: there must be a weight's name before {}, and no plain tensor of it", path,
           json_quote(tensor->name), kCodedSuffix);
    }
    coded_names.push_back(name);
  }

  ShardIndex parsed = parse_shard_index(index.bytes, coded_names, plain_names, codecs.size(), path);
  for (std::size_t i = 0; i < coded_names.size(); ++i) {
    CodedRecord& record = parsed.coded[i];
    const Codec& codec = *codecs[record.codec];
    const std::string& name = coded_names[i];
    contents.coded.emplace(name, open_coded(name, *data.at(name), std::move(record), codec));
  }
  for (std::size_t i = 0; i < plain_names.size(); ++i) {
    contents.checksums.emplace(plain_names[i], parsed.plain_xxh3[i]);
  }
  contents.checksums.emplace(shard.index, shard.index_xxh3);
  return contents;
}

}  // namespace twofold
