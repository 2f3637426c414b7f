#include <algorithm>

#include "base/aligned.h"
#include "base/error.h"
#include "base/hash.h"
#include "codec/plane_decoder.h"
#include "format/container.h"

namespace twofold {

namespace {

constexpr std::size_t kIndexFields = 3;  // offset, bytes, XXH3

std::string chunk_where(const CodedTensor& tensor, std::int64_t chunk) {
  return fmt::format("{}: tensor {}: chunk {}", tensor.file, json_quote(tensor.name), chunk);
}

void check_room(const CodedTensor& tensor, std::int64_t chunk, std::size_t size) {
  const auto expected = static_cast<std::size_t>(tensor.chunk_rows(chunk) * tensor.cols);
  if (size != expected)
    fail("{}: room for {} weights, expected {}", chunk_where(tensor, chunk), size, expected);
}

/// Says in the decoder's errors which chunk they are about.
template <typename Function>
void with_context(const CodedTensor& tensor, std::int64_t chunk, const Function& function) {
  try {
    function();
  } catch (const Error& error) {
    fail("{}: {}", chunk_where(tensor, chunk), error.what());
  }
}

}  // namespace

std::int64_t CodedTensor::chunks() const {
  return static_cast<std::int64_t>(index.size() / kIndexFields);
}

std::int64_t CodedTensor::chunk_rows(std::int64_t chunk) const {
  return std::min(rows_per_chunk, rows - chunk_begin(chunk));
}

std::uint64_t CodedTensor::chunk_offset(std::int64_t chunk) const {
  return index[static_cast<std::size_t>(chunk) * kIndexFields];
}

std::uint64_t CodedTensor::chunk_size(std::int64_t chunk) const {
  return index[static_cast<std::size_t>(chunk) * kIndexFields + 1];
}

std::span<const std::uint8_t> CodedTensor::chunk_bytes(std::int64_t chunk) const {
  return data.subspan(chunk_offset(chunk), chunk_size(chunk));
}

void CodedTensor::decode_chunk(std::int64_t chunk, std::span<std::int8_t> out) const {
  decode_chunk(chunk, chunk_bytes(chunk), out);
}

void CodedTensor::decode_chunk(std::int64_t chunk, std::span<const std::uint8_t> coded,
                               std::span<std::int8_t> out) const {
  check_room(*this, chunk, out.size());
  with_context(*this, chunk, [&] { decoder->decode(coded, out); });
}

void CodedTensor::decode_chunk_in_order(std::int64_t chunk, std::span<const std::uint8_t> coded,
                                        std::span<std::int8_t> out) const {
  check_room(*this, chunk, out.size());
  with_context(*this, chunk, [&] { decoder->decode_in_order(coded, out); });
}

PlaneCursor CodedTensor::open_planes(std::int64_t chunk, std::span<const std::uint8_t> coded) const {
  PlaneCursor cursor;
  with_context(*this, chunk,
               [&] { cursor = dynamic_cast<const PlaneDecoder&>(*decoder).open(coded, chunk_rows(chunk)); });
  return cursor;
}

const std::int8_t* CodedTensor::direct(std::int64_t chunk, std::span<const std::uint8_t> coded) const {
  return decoder->direct(coded, static_cast<std::size_t>(chunk_rows(chunk) * cols));
}

void CodedTensor::verify_chunk(std::int64_t chunk, std::span<const std::uint8_t> coded) const {
  const std::uint64_t expected = index[static_cast<std::size_t>(chunk) * kIndexFields + 2];
  if (const std::uint64_t found = xxh3(coded); found != expected) {
    fail("{}: checksum {}, expected {}: the file is damaged", chunk_where(*this, chunk), hex64(found),
         hex64(expected));
  }
}

void CodedTensor::verify_chunk(std::int64_t chunk) const {
  verify_chunk(chunk, chunk_bytes(chunk));
  const std::uint64_t end = chunk_offset(chunk) + chunk_size(chunk);
  const auto padding = data.subspan(end, align_up(end) - end);
  if (!std::all_of(padding.begin(), padding.end(), [](std::uint8_t byte) { return byte == 0; })) {
    fail("{}: the padding behind it is not zero: the file is damaged", chunk_where(*this, chunk));
  }
}

}  // namespace twofold
