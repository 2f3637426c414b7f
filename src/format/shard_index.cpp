#include "format/shard_index.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <set>

#include "base/aligned.h"
#include "base/error.h"
#include "base/json.h"
#include "tensor/dtype.h"

namespace twofold {

namespace {

constexpr std::uint64_t kUnit = 8;        // bytes, of positions
constexpr std::uint64_t kCountBytes = 8;  // number of coded and of plain tensors
constexpr unsigned kKnownFlags = kScalePerRow | kScaleBf16 | kInputScale | kInputScaleBf16;
constexpr std::uint64_t kChunkBytes = sizeof(std::uint64_t) + sizeof(std::uint32_t);

bool all_bf16(const std::vector<float>& values) {
  return std::all_of(values.begin(), values.end(), [](float value) {
    return std::bit_cast<std::uint32_t>(bf16_to_float(float_to_bf16(value))) ==
           std::bit_cast<std::uint32_t>(value);
  });
}

bool all_positive(const std::vector<float>& values) {
  return std::all_of(values.begin(), values.end(),
                     [](float value) { return value > 0 && std::isfinite(value); });
}

/// What the records of an index refer to, in total. Parts may be shared (the experts of a layer have one
/// input), but each record gets its own copy in memory, and without a bound a small file could ask for any
/// amount.
struct References {
  explicit References(std::uint64_t index_bytes) : limit((std::uint64_t{256} << 20) + 256 * index_bytes) {}

  std::uint64_t limit;  // bytes
  std::uint64_t bytes = 0;
  std::set<std::uint32_t> positions;
};

/// The parts of one record, with messages that name file, tensor and field.
class RecordParser {
 public:
  RecordParser(std::span<const std::uint8_t> index, const StoredRecord& stored, std::string where,
               References& references)
      : index_(index), stored_(stored), where_(std::move(where)), references_(references) {}

  CodedRecord parse(std::size_t codecs) {
    CodedRecord record;
    record.rows = stored_.rows;
    record.cols = stored_.cols;
    record.rows_per_chunk = stored_.rows_per_chunk;
    record.codec = stored_.codec;
    record.activation_step = stored_.activation_step;
    if (record.codec >= codecs) {
      fail("{}: codec: number {}, but the file lists {} codecs", where_, record.codec, codecs);
    }
    if ((stored_.flags & ~kKnownFlags) != 0) fail("{}: flags: unknown value {:#x}", where_, stored_.flags);
    const bool scaled_inputs = (stored_.flags & kInputScale) != 0;
    if (!scaled_inputs && (stored_.flags & kInputScaleBf16) != 0) {
      fail("{}: flags: input scales are BF16 but absent", where_);
    }
    record.stored_bytes = sizeof(StoredRecord);
    // Dimensions first: the sizes of the parts follow from them.
    record.scale.resize(1, 1.0F);
    check_record(record, where_);
    const std::int64_t scales = (stored_.flags & kScalePerRow) != 0 ? record.rows : 1;
    record.scale = floats("scale", stored_.scale, scales, (stored_.flags & kScaleBf16) != 0, record);
    if (scaled_inputs) {
      record.input_scale = floats("input_scale", stored_.input_scale, record.cols,
                                  (stored_.flags & kInputScaleBf16) != 0, record);
    } else if (stored_.input_scale != 0) {
      fail("{}: input_scale: has a position but is absent", where_);
    }
    check_record(record, where_);
    parse_chunks(record);
    if (stored_.table_bytes > 0) {
      const auto table = part("table", stored_.table, stored_.table_bytes, record);
      record.table.assign(table.begin(), table.end());
    } else if (stored_.table != 0) {
      fail("{}: table: has a position but no bytes", where_);
    }
    return record;
  }

 private:
  std::span<const std::uint8_t> part(std::string_view field, std::uint32_t position, std::uint64_t bytes,
                                     CodedRecord& record) {
    const std::uint64_t begin = position * kUnit;
    if (begin > index_.size() || bytes > index_.size() - begin) {
      fail("{}: {}: {} bytes at {}, but the index has {} bytes", where_, field, bytes, begin, index_.size());
    }
    references_.bytes += bytes;
    if (references_.bytes > references_.limit) {
      fail("{}: {}: the tensors share parts too often, more than {} bytes in total", where_, field,
           references_.limit);
    }
    if (references_.positions.insert(position).second) record.stored_bytes += align_up(bytes, kUnit);
    return index_.subspan(begin, bytes);
  }

  std::vector<float> floats(std::string_view field, std::uint32_t position, std::int64_t count, bool bf16,
                            CodedRecord& record) {
    const DType dtype = bf16 ? DType::kBF16 : DType::kF32;
    const auto bytes = part(field, position, static_cast<std::uint64_t>(count) * dtype_bytes(dtype), record);
    std::vector<float> values(static_cast<std::size_t>(count));
    to_float(dtype, bytes, values);
    return values;
  }

  void parse_chunks(CodedRecord& record) {
    const auto count =
        static_cast<std::uint64_t>(CodedRecord::chunk_count(record.rows, record.rows_per_chunk));
    const auto bytes = part("chunks", stored_.chunks, count * kChunkBytes, record);
    record.chunks.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
      std::memcpy(&record.chunks[i].xxh3, bytes.data() + i * sizeof(std::uint64_t), sizeof(std::uint64_t));
      std::memcpy(&record.chunks[i].bytes,
                  bytes.data() + count * sizeof(std::uint64_t) + i * sizeof(std::uint32_t),
                  sizeof(std::uint32_t));
    }
  }

  std::span<const std::uint8_t> index_;
  const StoredRecord& stored_;
  std::string where_;
  References& references_;
};

std::string tensor_where(std::string_view where, const std::string& name) {
  return fmt::format("{}: tensor {}", where, json_quote(name));
}

}  // namespace

void check_record(const CodedRecord& record, std::string_view where) {
  for (const auto& [field, value] : {std::pair{"rows", record.rows}, std::pair{"cols", record.cols}}) {
    if (value < 1 || value > INT32_MAX)
      fail("{}: {}: expected 1 to {}, found {}", where, field, INT32_MAX, value);
  }
  if (record.rows_per_chunk < 1 || record.rows_per_chunk > record.rows) {
    fail("{}: rows_per_chunk: expected 1 to {}, found {}", where, record.rows, record.rows_per_chunk);
  }
  if (record.rows_per_chunk * record.cols > kMaxChunkWeights) {
    fail("{}: rows_per_chunk: {} rows of {} weights, expected at most {} weights in a chunk", where,
         record.rows_per_chunk, record.cols, kMaxChunkWeights);
  }
  if (!(record.activation_step >= 0) || !std::isfinite(record.activation_step)) {
    fail("{}: activation_step: expected a number >= 0, found {}", where, record.activation_step);
  }
  const auto scales = static_cast<std::int64_t>(record.scale.size());
  if (scales != 1 && scales != record.rows) {
    fail("{}: scale: expected 1 or {} numbers, found {}", where, record.rows, scales);
  }
  if (!all_positive(record.scale)) fail("{}: scale: expected finite numbers > 0", where);
  const auto inputs = static_cast<std::int64_t>(record.input_scale.size());
  if (inputs != 0 && inputs != record.cols) {
    fail("{}: input_scale: expected 0 or {} numbers, found {}", where, record.cols, inputs);
  }
  if (!all_positive(record.input_scale)) fail("{}: input_scale: expected finite numbers > 0", where);
}

ShardIndex parse_shard_index(std::span<const std::uint8_t> index, const std::vector<std::string>& coded,
                             const std::vector<std::string>& plain, std::size_t codecs,
                             std::string_view where) {
  if (index.size() < kCountBytes)
    fail("{}: index: {} bytes, expected at least {}", where, index.size(), kCountBytes);
  std::uint32_t counts[2];
  std::memcpy(counts, index.data(), sizeof counts);
  if (counts[0] != coded.size()) {
    fail("{}: index: {} coded tensors, but the file has {}", where, counts[0], coded.size());
  }
  if (counts[1] != plain.size()) {
    fail("{}: index: {} plain tensors, but the file has {}", where, counts[1], plain.size());
  }
  const std::uint64_t fixed =
      kCountBytes + coded.size() * sizeof(StoredRecord) + plain.size() * sizeof(std::uint64_t);
  if (index.size() < fixed) fail("{}: index: {} bytes, expected at least {}", where, index.size(), fixed);

  ShardIndex parsed;
  References references(index.size());
  const std::uint8_t* next = index.data() + kCountBytes;
  for (const std::string& name : coded) {
    StoredRecord stored;
    std::memcpy(&stored, next, sizeof stored);
    next += sizeof stored;
    parsed.coded.push_back(RecordParser(index, stored, tensor_where(where, name), references).parse(codecs));
  }
  parsed.plain_xxh3.resize(plain.size());
  if (!plain.empty()) std::memcpy(parsed.plain_xxh3.data(), next, plain.size() * sizeof(std::uint64_t));
  return parsed;
}

std::uint64_t ShardIndexBuilder::parts_begin() const {
  return kCountBytes + coded_.size() * sizeof(StoredRecord) + plain_.size() * sizeof(std::uint64_t);
}

std::uint64_t ShardIndexBuilder::bytes() const {
  return parts_begin() + parts_.size();
}

std::uint32_t ShardIndexBuilder::add_part(std::span<const std::uint8_t> bytes) {
  const std::uint64_t position = parts_.size() / kUnit;
  const auto [it, added] =
      known_.emplace(std::string(bytes.begin(), bytes.end()), static_cast<std::uint32_t>(position));
  if (!added) return it->second;
  // Half of what 32 bits can count, so that the records before the parts never matter.
  if (position > UINT32_MAX / 2)
    fail("the index of a shard would pass {} bytes: use smaller shards", parts_.size());
  parts_.insert(parts_.end(), bytes.begin(), bytes.end());
  parts_.resize(align_up(parts_.size(), kUnit));
  return it->second;
}

std::uint32_t ShardIndexBuilder::add_floats(const std::vector<float>& values, bool& bf16) {
  bf16 = all_bf16(values);
  std::vector<std::uint8_t> bytes(values.size() * dtype_bytes(bf16 ? DType::kBF16 : DType::kF32));
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (bf16) {
      const std::uint16_t bits = float_to_bf16(values[i]);
      std::memcpy(bytes.data() + i * sizeof bits, &bits, sizeof bits);
    } else {
      std::memcpy(bytes.data() + i * sizeof(float), &values[i], sizeof(float));
    }
  }
  return add_part(bytes);
}

std::uint64_t ShardIndexBuilder::add_coded(const std::string& name, const CodedRecord& record) {
  const std::uint64_t before = bytes();
  StoredRecord stored;
  stored.rows = static_cast<std::uint32_t>(record.rows);
  stored.cols = static_cast<std::uint32_t>(record.cols);
  stored.rows_per_chunk = static_cast<std::uint32_t>(record.rows_per_chunk);
  stored.codec = static_cast<std::uint16_t>(record.codec);
  stored.activation_step = record.activation_step;
  stored.table_bytes = static_cast<std::uint32_t>(record.table.size());

  const std::size_t count = record.chunks.size();
  std::vector<std::uint8_t> chunks(count * kChunkBytes);
  for (std::size_t i = 0; i < count; ++i) {
    std::memcpy(chunks.data() + i * sizeof(std::uint64_t), &record.chunks[i].xxh3, sizeof(std::uint64_t));
    std::memcpy(chunks.data() + count * sizeof(std::uint64_t) + i * sizeof(std::uint32_t),
                &record.chunks[i].bytes, sizeof(std::uint32_t));
  }
  stored.chunks = add_part(chunks);
  if (!record.table.empty()) stored.table = add_part(record.table);
  bool bf16 = false;
  stored.scale = add_floats(record.scale, bf16);
  unsigned flags = (record.scale.size() > 1 ? kScalePerRow : 0) | (bf16 ? kScaleBf16 : 0);
  if (!record.input_scale.empty()) {
    stored.input_scale = add_floats(record.input_scale, bf16);
    flags |= kInputScale | (bf16 ? kInputScaleBf16 : 0);
  }
  stored.flags = static_cast<std::uint16_t>(flags);
  coded_.emplace(name, stored);
  return bytes() - before;
}

void ShardIndexBuilder::add_plain(const std::string& name, std::uint64_t xxh3) {
  plain_.emplace(name, xxh3);
}

std::vector<std::uint8_t> ShardIndexBuilder::build() const {
  const std::uint64_t base = parts_begin() / kUnit;
  std::vector<std::uint8_t> index(bytes());
  std::uint8_t* next = index.data();
  const auto append = [&next](const auto& value) {
    std::memcpy(next, &value, sizeof value);
    next += sizeof value;
  };
  append(static_cast<std::uint32_t>(coded_.size()));
  append(static_cast<std::uint32_t>(plain_.size()));
  for (auto [name, stored] : coded_) {
    const auto shift = [base](std::uint32_t& position) {
      position = static_cast<std::uint32_t>(position + base);
    };
    shift(stored.chunks);
    if (stored.table_bytes > 0) shift(stored.table);
    shift(stored.scale);
    if ((stored.flags & kInputScale) != 0) shift(stored.input_scale);
    append(stored);
  }
  for (const auto& [name, xxh3] : plain_) append(xxh3);
  if (!parts_.empty()) std::memcpy(next, parts_.data(), parts_.size());
  return index;
}

}  // namespace twofold
