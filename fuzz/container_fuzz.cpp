// Shards of containers: metadata, index, chunks. The input is either a safetensors file as it is, or a list
// of bytes to change in a valid shard; the checksum of the index is made to fit, so that it hides nothing.
// Whatever is accepted must decode or fail with an Error.

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/aligned.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/random.h"
#include "base/thread_pool.h"
#include "format/shard.h"

namespace {

using namespace twofold;

constexpr std::int64_t kDecodedWeights = 1 << 20;  // per input, to stay fast

CodedTensorParts parts_of(const std::string& name, std::int64_t rows, std::int64_t cols) {
  CodedTensorParts parts;
  parts.name = name;
  parts.rows = rows;
  parts.cols = cols;
  parts.scale.assign(static_cast<std::size_t>(rows), 0.1F);
  parts.input_scale.assign(static_cast<std::size_t>(cols), 1.5F);
  parts.activation_step = 0.5F;
  return parts;
}

/// A valid shard with a tensor of each codec.
AlignedVector<std::uint8_t> make_shard() {
  std::string parent = (std::filesystem::temp_directory_path() / "twofold-fuzz-XXXXXX").string();
  if (mkdtemp(parent.data()) == nullptr) std::abort();
  std::vector<std::string> names = {"norm"};
  for (const Codec* codec : codecs()) names.push_back(std::string(codec->name()) + ".weight");
  ContainerWriter writer(parent + "/out", names, UINT64_MAX);
  ThreadPool pool(1);
  Random random(1);
  std::vector<std::int8_t> weights(5 * 33);
  for (std::int8_t& weight : weights) weight = static_cast<std::int8_t>(random.below(7)) - 3;
  for (const Codec* codec : codecs()) {
    writer.add_coded(parts_of(std::string(codec->name()) + ".weight", 5, 33), weights, *codec, pool);
  }
  TensorView norm;
  norm.name = "norm";
  norm.dtype = DType::kU8;
  norm.shape = {3};
  const std::vector<std::uint8_t> bytes(3);
  norm.bytes = bytes;
  writer.add_plain(norm);
  writer.commit(Json::object(), Json::object());
  const std::string file = read_file(parent + "/out/model.safetensors");
  std::filesystem::remove_all(parent);
  return {file.begin(), file.end()};
}

/// As a mapping is: on an aligned address.
AlignedVector<std::uint8_t> file_of(std::span<const std::uint8_t> input) {
  static const AlignedVector<std::uint8_t> valid = make_shard();
  if (!input.empty() && (input[0] & 1) == 0) return {input.begin() + 1, input.end()};
  AlignedVector<std::uint8_t> file = valid;
  for (std::size_t i = 1; i + 3 <= input.size(); i += 3) {
    file[(input[i] | input[i + 1] << 8) % file.size()] = input[i + 2];
  }
  return file;
}

/// Makes the index's checksum right, as someone would who means harm.
void sign(const std::map<std::string, TensorView>& tensors, std::map<std::string, std::string>& metadata) {
  const auto it = metadata.find(kShardMetadata);
  if (it == metadata.end()) return;
  Json json = parse_json(it->second, "metadata");
  if (!json.is_object() || !json.contains("index") || !json["index"].is_string()) return;
  const auto index = tensors.find(json["index"].get<std::string>());
  if (index == tensors.end()) return;
  json["index_xxh3"] = hex64(xxh3(index->second.bytes));
  it->second = json.dump();
}

void read(const AlignedVector<std::uint8_t>& file) {
  std::map<std::string, TensorView> tensors;
  std::map<std::string, std::string> metadata;
  std::span<const std::uint8_t> header;
  parse_safetensors(file, "input", tensors, metadata, header);
  sign(tensors, metadata);
  const ShardContents contents = read_shard("input", tensors, metadata);
  std::int64_t decoded = 0;
  std::vector<std::int8_t> weights;
  for (const auto& [name, tensor] : contents.coded) {
    if (tensor.scale.size() != 1 && tensor.scale.size() != static_cast<std::size_t>(tensor.rows))
      std::abort();
    std::int64_t rows = 0;
    for (std::int64_t chunk = 0; chunk < tensor.chunks(); ++chunk) {
      rows += tensor.chunk_rows(chunk);
      const std::int64_t count = tensor.chunk_rows(chunk) * tensor.cols;
      decoded += count;
      if (decoded > kDecodedWeights) return;
      weights.resize(static_cast<std::size_t>(count));
      try {
        tensor.decode_chunk(chunk, weights);
      } catch (const Error&) {
      }
      if (const std::int8_t* direct = tensor.direct(chunk); direct != nullptr) {
        if (!std::equal(weights.begin(), weights.end(), direct)) std::abort();
      }
      try {
        tensor.verify_chunk(chunk);
      } catch (const Error&) {
      }
    }
    if (rows != tensor.rows) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    read(file_of({data, size}));
  } catch (const Error& error) {
    if (std::string_view(error.what()).find('\n') != std::string_view::npos) std::abort();
  }
  return 0;
}
