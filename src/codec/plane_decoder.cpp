#include "codec/plane_decoder.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/aligned.h"
#include "base/error.h"
#include "codec/plane_codec.h"

namespace twofold {

namespace {

/// Decodes a sequence coded as one row into `out`, which is as long as its groups.
void decode_sequence(const PlaneTable& table, const PlaneRows& rows, std::span<const std::uint8_t> coded,
                     std::span<std::int8_t> out) {
  const std::size_t groups = out.size() / kGroupColumns;
  if (groups == 0) {
    if (!coded.empty()) fail("{} bytes of a sequence without values", coded.size());
    return;
  }
  PlaneCursor cursor = open_plane_chunk(table, 1, groups, coded);
  rows.decode(table.classes[0], 1, groups, cursor, out.data(), out.size());
  correct_decoded(table, cursor, 1, groups, out.data());
  check_plane_end(table, cursor);
}

/// Bytes of the masks of a chunk with zeros apart.
std::uint32_t masks_size(std::span<const std::uint8_t> coded) {
  if (coded.size() < kPlaneZerosHeader)
    fail("{} bytes, expected a header of {}", coded.size(), kPlaneZerosHeader);
  std::uint32_t bytes;
  std::memcpy(&bytes, coded.data(), sizeof bytes);
  if (bytes > coded.size() - kPlaneZerosHeader) {
    fail("masks of {} bytes, but {} are left", bytes, coded.size() - kPlaneZerosHeader);
  }
  return bytes;
}

/// Room for decoding, kept by each thread.
std::span<std::int8_t> scratch(AlignedVector<std::int8_t>& buffer, std::size_t size) {
  if (buffer.size() < size) buffer.resize(size);
  return std::span(buffer).first(size);
}

}  // namespace

PlaneDecoder::PlaneDecoder(std::span<const std::uint8_t> table, std::int64_t cols, const PlaneRows& rows)
    : rows_(rows) {
  if (table.empty()) return;
  cols_ = static_cast<std::size_t>(cols);
  const int kind = table[0];
  if (kind != kPlaneDense && kind != kPlaneZerosApart) {
    fail("kind {} of table, expected {} or {}", kind, kPlaneDense, kPlaneZerosApart);
  }
  table = table.subspan(1);
  zeros_apart_ = kind == kPlaneZerosApart;
  if (zeros_apart_) {
    masks_ = read_plane_table(table, 1);
    columns_ = read_plane_table(table, 1);
    if (masks_.classes.size() != 1 || columns_.classes.size() != 1)
      fail("classes in a sequence, expected one");
  } else {
    columns_ = read_plane_table(table, cols);
  }
  if (!table.empty()) fail("{} bytes behind the table", table.size());
}

PlaneCursor PlaneDecoder::open(std::span<const std::uint8_t> coded, std::int64_t rows) const {
  return open_plane_chunk(columns_, static_cast<std::uint64_t>(rows), columns_.row_groups(), coded);
}

void PlaneDecoder::decode_in_order(std::span<const std::uint8_t> coded, std::span<std::int8_t> out) const {
  if (out.empty()) {
    if (!coded.empty()) fail("{} bytes for no weights", coded.size());
    return;
  }
  if (cols_ == 0 || out.size() % cols_ != 0) fail("{} weights, expected whole rows of {}", out.size(), cols_);
  if (zeros_apart_) {
    decode_zeros_apart(coded, out);
  } else {
    decode_rows(coded, out);
  }
}

void PlaneDecoder::decode(std::span<const std::uint8_t> coded, std::span<std::int8_t> out) const {
  if (columns_.columns.order.empty() || out.empty()) return decode_in_order(coded, out);
  thread_local AlignedVector<std::int8_t> sorted;
  const auto in_order = scratch(sorted, out.size());
  decode_in_order(coded, in_order);
  columns_from_classes(columns_.columns, in_order, out);
}

void PlaneDecoder::decode_rows(std::span<const std::uint8_t> coded, std::span<std::int8_t> out) const {
  const std::size_t count = out.size() / cols_;
  PlaneCursor cursor = open(coded, static_cast<std::int64_t>(count));
  const std::size_t stored = columns_.row_groups() * kGroupColumns;
  if (stored == cols_) {
    decode_plane_rows(columns_, rows_, cursor, count, out.data());
  } else {
    thread_local AlignedVector<std::int8_t> buffer;
    std::int8_t* padded = scratch(buffer, count * stored).data();
    decode_plane_rows(columns_, rows_, cursor, count, padded);
    for (std::size_t row = 0; row < count; ++row)
      std::memcpy(out.data() + row * cols_, padded + row * stored, cols_);
  }
  check_plane_end(columns_, cursor);
}

PlaneDecoder::OpenZeros PlaneDecoder::open_zeros(std::span<const std::uint8_t> coded,
                                                 std::size_t count) const {
  const std::uint32_t mask_bytes = masks_size(coded);
  coded = coded.subspan(kPlaneZerosHeader);
  OpenZeros result;
  const std::size_t mask_groups = align_up((count + 3) / 4, kGroupColumns) / kGroupColumns;
  result.masks = open_plane_chunk(masks_, 1, mask_groups, coded.first(mask_bytes));
  coded = coded.subspan(mask_bytes);
  if (coded.empty()) return result;
  result.nonzero_groups = plane_sequence_groups(columns_, coded);
  if (result.nonzero_groups > count / kGroupColumns + 1) {
    fail("{} groups of nonzeros in {} weights", result.nonzero_groups, count);
  }
  result.nonzeros = open_plane_chunk(columns_, 1, result.nonzero_groups, coded);
  return result;
}

void PlaneDecoder::decode_zeros_apart(std::span<const std::uint8_t> coded, std::span<std::int8_t> out) const {
  const std::uint32_t mask_bytes = masks_size(coded);
  coded = coded.subspan(kPlaneZerosHeader);

  const std::size_t padded = align_up(out.size(), kGroupColumns);
  const std::size_t groups_of_masks = align_up((out.size() + 3) / 4, kGroupColumns);
  thread_local AlignedVector<std::int8_t> mask_buffer;
  const auto masks = scratch(mask_buffer, groups_of_masks);
  decode_sequence(masks_, rows_, coded.first(mask_bytes), masks);
  thread_local std::vector<std::uint8_t> bits;
  bits.assign(padded / 8, 0);
  std::size_t nonzeros = 0;
  for (std::size_t i = 0; i < (out.size() + 7) / 8; ++i) {
    const auto low = static_cast<std::uint8_t>(masks[2 * i]);
    // What fills the last group up is not a mask.
    const auto high = static_cast<std::uint8_t>(2 * i + 1 < (out.size() + 3) / 4 ? masks[2 * i + 1] : 0);
    if (low > 15 || high > 15) fail("mask {} of {}, expected 0 to 15", 2 * i, low | high);
    bits[i] = static_cast<std::uint8_t>(low | high << 4);
    nonzeros += static_cast<std::size_t>(std::popcount(bits[i]));
  }
  if (out.size() % 8 != 0 && bits[out.size() / 8] >> (out.size() % 8) != 0)
    fail("a mask of weights that are not there");

  thread_local AlignedVector<std::int8_t> value_buffer;
  const std::size_t stored = align_up(nonzeros, kGroupColumns);
  const auto values = scratch(value_buffer, stored + kGroupColumns);
  decode_sequence(columns_, rows_, coded.subspan(mask_bytes), values.first(stored));
  if (padded == out.size()) {
    rows_.spread(bits.data(), values.data(), padded, out.data());
    return;
  }
  thread_local AlignedVector<std::int8_t> spread_buffer;
  const auto spread = scratch(spread_buffer, padded);
  rows_.spread(bits.data(), values.data(), padded, spread.data());
  std::memcpy(out.data(), spread.data(), out.size());
}

}  // namespace twofold
