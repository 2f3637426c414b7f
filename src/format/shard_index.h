#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace twofold {

/// The index of a shard: the U8 tensor that says how its coded weights are stored. docs/container.md has the
/// layout. A small model pays for every byte beside its weights: records of 40 bytes are a tenth of what a
/// tensor per part would take in the JSON header.

/// The most weights a chunk may have, so that no header makes a reader allocate without bound.
inline constexpr std::int64_t kMaxChunkWeights = std::int64_t{1} << 24;

struct ChunkRecord {
  std::uint32_t bytes = 0;  // coded, without padding; a codec may need none when all weights are equal
  std::uint64_t xxh3 = 0;
};

/// One coded weight.
struct CodedRecord {
  std::int64_t rows = 0;  // 1..2^31-1, as cols
  std::int64_t cols = 0;
  std::int64_t rows_per_chunk = 0;  // 1..rows
  std::uint32_t codec = 0;          // position in the shard's list of codecs
  float activation_step = 0;
  std::vector<float> scale;         // 1 or rows entries
  std::vector<float> input_scale;   // 0 or cols entries
  std::vector<std::uint8_t> table;  // of the codec
  std::vector<ChunkRecord> chunks;
  std::uint64_t stored_bytes = 0;  // of the index, without parts that a record before this one has too

  static std::int64_t chunk_count(std::int64_t rows, std::int64_t rows_per_chunk) {
    return (rows + rows_per_chunk - 1) / rows_per_chunk;
  }
};

struct ShardIndex {
  std::vector<CodedRecord> coded;         // in the order of the names given to `parse_shard_index`
  std::vector<std::uint64_t> plain_xxh3;  // likewise
};

/// Parses a hostile index. `coded` and `plain` are the names of the shard's tensors, sorted by bytes; `where`
/// names the file in errors. What it allocates is bounded by the size of the index.
ShardIndex parse_shard_index(std::span<const std::uint8_t> index, const std::vector<std::string>& coded,
                             const std::vector<std::string>& plain, std::size_t codecs,
                             std::string_view where);

/// Throws Error when dimensions, scales or activation step are not what a record may hold.
void check_record(const CodedRecord& record, std::string_view where);

/// A record as it is stored. Positions count units of 8 bytes from the start of the index; those of absent
/// parts are 0.
struct StoredRecord {
  std::uint32_t rows = 0;
  std::uint32_t cols = 0;
  std::uint32_t rows_per_chunk = 0;
  std::uint16_t codec = 0;
  std::uint16_t flags = 0;  // see kScalePerRow and the others
  float activation_step = 0;
  std::uint32_t table_bytes = 0;
  std::uint32_t chunks = 0;       // position: a u64 XXH3 per chunk, then a u32 of coded bytes per chunk
  std::uint32_t table = 0;        // position
  std::uint32_t scale = 0;        // position
  std::uint32_t input_scale = 0;  // position
};
static_assert(sizeof(StoredRecord) == 40);

inline constexpr unsigned kScalePerRow = 1;     // `rows` scales, else one
inline constexpr unsigned kScaleBf16 = 2;       // scales are BF16, else F32
inline constexpr unsigned kInputScale = 4;      // there are `cols` input scales
inline constexpr unsigned kInputScaleBf16 = 8;  // which are BF16, else F32

/// Builds an index.
class ShardIndexBuilder {
 public:
  /// Returns the bytes it added. The record must have passed `check_record`.
  std::uint64_t add_coded(const std::string& name, const CodedRecord& record);
  void add_plain(const std::string& name, std::uint64_t xxh3);

  std::uint64_t bytes() const;
  std::vector<std::uint8_t> build() const;

 private:
  std::uint64_t parts_begin() const;
  std::uint32_t add_part(std::span<const std::uint8_t> bytes);
  std::uint32_t add_floats(const std::vector<float>& values, bool& bf16);

  std::map<std::string, StoredRecord> coded_;  // with positions from the first part
  std::map<std::string, std::uint64_t> plain_;
  std::vector<std::uint8_t> parts_;
  std::map<std::string, std::uint32_t> known_;  // positions of the parts by their bytes
};

}  // namespace twofold
