#include "format/shard_writer.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/aligned.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/thread_pool.h"

namespace twofold {

namespace {

// Enough rows for a codec to spread its cost per chunk, few enough for threads to share a matrix.
constexpr std::int64_t kChunkWeights = 65536;
constexpr std::int64_t kTileRows = 16;      // chunks are whole tiles of the kernels where they have several
constexpr std::size_t kBatchPerThread = 8;  // chunks coded before they are written
constexpr std::uint64_t kMetadataBytes = 4096;  // bound of __metadata__ and the index's entry
constexpr std::uint64_t kFinishBytes = 512;     // what they and the padding take with a handful of codecs

/// Chunks of about kChunkWeights weights, of equal rows as far as possible.
std::int64_t choose_rows_per_chunk(std::int64_t rows, std::int64_t cols) {
  const std::int64_t most = std::max<std::int64_t>(1, kChunkWeights / cols);
  const std::int64_t chunks = (rows + most - 1) / most;
  const std::int64_t even = (rows + chunks - 1) / chunks;
  const std::int64_t tiles = (even + kTileRows - 1) / kTileRows * kTileRows;
  return std::min(rows, even > kTileRows ? tiles : even);
}

void check_weights(const CodedTensorParts& parts, std::span<const std::int8_t> weights,
                   const std::string& where) {
  if (weights.size() != static_cast<std::uint64_t>(parts.rows) * static_cast<std::uint64_t>(parts.cols)) {
    fail("{}: {} weights, expected {} rows of {}", where, weights.size(), parts.rows, parts.cols);
  }
  const void* found = std::memchr(weights.data(), 0x80, weights.size());
  if (found != nullptr) {
    const auto position = static_cast<const std::int8_t*>(found) - weights.data();
    fail("{}: row {}, column {}: weight -128, expected -127 to 127", where, position / parts.cols,
         position % parts.cols);
  }
}

}  // namespace

ShardWriter::ShardWriter(const std::filesystem::path& path, std::size_t number,
                         std::uint64_t reserved_header_bytes)
    : writer_(path, reserved_header_bytes + kMetadataBytes) {
  metadata_.index = fmt::format("{}{}", kIndexPrefix, number);
}

std::uint64_t ShardWriter::coded_bytes_bound(const CodedTensorParts& parts) {
  const auto rows = static_cast<std::uint64_t>(std::max<std::int64_t>(parts.rows, 1));
  const auto cols = static_cast<std::uint64_t>(std::max<std::int64_t>(parts.cols, 1));
  const std::uint64_t chunks = rows * cols / kChunkWeights + 1;
  return rows * cols + 4 * (parts.scale.size() + parts.input_scale.size()) + 128 * chunks + 256;
}

std::uint64_t ShardWriter::header_bytes_bound(const std::string& name) {
  return SafetensorsWriter::header_bytes_bound(name) + kCodedSuffix.size();
}

std::uint64_t ShardWriter::bytes() const {
  return writer_.header_bytes() + kFinishBytes + writer_.data_bytes() + waiting_bytes_ + index_.bytes();
}

std::uint32_t ShardWriter::codec_number(const Codec& codec) {
  auto& names = metadata_.codecs;
  const auto it = std::find(names.begin(), names.end(), codec.name());
  if (it != names.end()) return static_cast<std::uint32_t>(it - names.begin());
  names.emplace_back(codec.name());
  return static_cast<std::uint32_t>(names.size() - 1);
}

std::uint64_t ShardWriter::add_coded(const CodedTensorParts& parts, std::span<const std::int8_t> weights,
                                     const Codec& codec, ThreadPool& pool) {
  const std::string where = fmt::format("tensor {}", json_quote(parts.name));
  CodedRecord record;
  record.rows = parts.rows;
  record.cols = parts.cols;
  record.rows_per_chunk =
      parts.rows > 0 && parts.cols > 0 ? choose_rows_per_chunk(parts.rows, parts.cols) : 1;
  record.scale = parts.scale;
  record.input_scale = parts.input_scale;
  record.activation_step = parts.activation_step;
  check_record(record, where);
  check_weights(parts, weights, where);
  record.codec = codec_number(codec);
  record.table = codec.make_table(weights, parts.cols);

  const auto count = static_cast<std::size_t>(CodedRecord::chunk_count(record.rows, record.rows_per_chunk));
  const auto chunk_weights = static_cast<std::size_t>(record.rows_per_chunk * record.cols);
  record.chunks.resize(count);
  names_.push_back(parts.name + std::string(kCodedSuffix));
  writer_.begin_tensor(names_.back(), DType::kU8, {-1});
  const std::uint64_t before = writer_.data_bytes();
  const std::size_t batch = kBatchPerThread * static_cast<std::size_t>(pool.size());
  std::vector<std::vector<std::uint8_t>> coded(std::min(batch, count));
  for (std::size_t first = 0; first < count; first += batch) {
    check_interrupt();
    const std::size_t chunks = std::min(batch, count - first);
    pool.run(chunks, [&](std::size_t begin, std::size_t end, int) {
      for (std::size_t i = begin; i < end; ++i) {
        const std::size_t offset = (first + i) * chunk_weights;
        coded[i].clear();
        codec.encode(record.table, weights.subspan(offset, std::min(chunk_weights, weights.size() - offset)),
                     record.cols, coded[i]);
        if (coded[i].size() > UINT32_MAX) {
          fail("{}: codec {} made a chunk of {} bytes", where, codec.name(), coded[i].size());
        }
        record.chunks[first + i] = {static_cast<std::uint32_t>(coded[i].size()), xxh3(coded[i])};
        coded[i].resize(align_up(coded[i].size()));
      }
    });
    for (std::size_t i = 0; i < chunks; ++i) writer_.write(coded[i]);
  }
  writer_.end_tensor();
  return writer_.data_bytes() - before + index_.add_coded(parts.name, record);
}

void ShardWriter::add_plain(const TensorView& tensor) {
  names_.push_back(tensor.name);
  index_.add_plain(tensor.name, xxh3(tensor.bytes));
  if (tensor.bytes.size() % kAlignment == 0) {
    write_plain(tensor, tensor.bytes);
    return;
  }
  waiting_bytes_ += tensor.bytes.size();
  waiting_.push_back({tensor, {tensor.bytes.begin(), tensor.bytes.end()}});
}

void ShardWriter::write_plain(const TensorView& tensor, std::span<const std::uint8_t> bytes) {
  writer_.add(tensor.name, tensor.dtype, tensor.shape, bytes);
}

ShardWriter::Summary ShardWriter::finish() {
  const std::vector<std::uint8_t> index = index_.build();
  metadata_.index_xxh3 = xxh3(index);
  writer_.add(metadata_.index, DType::kU8, {-1}, index);
  std::stable_sort(waiting_.begin(), waiting_.end(), [](const Waiting& a, const Waiting& b) {
    return dtype_bytes(a.tensor.dtype) > dtype_bytes(b.tensor.dtype);
  });
  for (const Waiting& waiting : waiting_) write_plain(waiting.tensor, waiting.bytes);

  Summary summary;
  summary.data_bytes = writer_.data_bytes();
  const auto [bytes, header_xxh3] =
      writer_.finish({{"format", "pt"}, {kShardMetadata, format_shard_metadata(metadata_)}});
  summary.file = {bytes, header_xxh3};
  summary.tensors = std::move(names_);
  summary.tensors.push_back(metadata_.index);
  return summary;
}

}  // namespace twofold
