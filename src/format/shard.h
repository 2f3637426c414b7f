#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "format/container.h"

namespace twofold {

/// Names and metadata of the safetensors files of a container; docs/container.md has the whole format.

inline constexpr std::string_view kCodedSuffix = ".twofold";        // NAME.twofold holds the chunks of NAME
inline constexpr std::string_view kIndexPrefix = "twofold.index.";  // + number of the shard, from 1
inline constexpr const char* kShardMetadata = "twofold";            // key in __metadata__
inline constexpr const char* kSingleFile = "model.safetensors";
inline constexpr const char* kShardList = "model.safetensors.index.json";

/// What `__metadata__` says of a shard, as JSON.
struct ShardMetadata {
  std::string index;  // name of the tensor
  std::uint64_t index_xxh3 = 0;
  std::vector<std::string> codecs;  // records name them by position
};

ShardMetadata parse_shard_metadata(std::string_view json, std::string_view where);
std::string format_shard_metadata(const ShardMetadata& metadata);

/// Throws Error when `object` has no "version" or one that this program does not read.
void check_container_version(const Json& object, std::string_view where);

/// 16 hexadecimal digits as `hex64` writes them.
std::uint64_t json_hex64(const Json& object, std::string_view key, std::string_view where);

/// What a shard holds. The checksums are those of the tensors that are not coded, the index among them.
struct ShardContents {
  std::map<std::string, CodedTensor> coded;
  std::map<std::string, TensorView> plain;
  std::map<std::string, std::uint64_t> checksums;
};

/// Interprets a parsed safetensors file. Everything is checked but the checksums of chunks and plain tensors.
ShardContents read_shard(std::string_view path, const std::map<std::string, TensorView>& tensors,
                         const std::map<std::string, std::string>& metadata);

}  // namespace twofold
