#pragma once

#include "codec/codec.h"
#include "codec/device/quad_lane.h"
#include "codec/quad_table.h"

namespace twofold {

/// Decoder of the codec `quad`, open to the kernels that multiply from the coded weights.
class QuadDecoder : public Decoder {
 public:
  /// The scalar reference, or the lanes of codec/device/quad_lane.h.
  enum class Path : std::uint8_t { kReference, kLanes };

  QuadDecoder(std::span<const std::uint8_t> table, std::int64_t cols, Path path);

  void decode(std::span<const std::uint8_t> coded, std::span<std::int8_t> out) const override;
  void decode_in_order(std::span<const std::uint8_t> coded, std::span<std::int8_t> out) const override;
  std::span<const std::int32_t> column_order() const override { return table_.columns.order; }

  const QuadTable& table() const { return table_; }  // no classes: no weights
  device::QuadClassView class_view(std::size_t c) const;

  /// The tiles of a chunk of `rows` rows, and where each lies in the chunk. Sizes are checked: lengths,
  /// planes and streams fill the chunk.
  struct OpenTile {
    QuadTile tile;
    device::QuadTileView view;
  };
  std::vector<OpenTile> open(std::span<const std::uint8_t> coded, std::size_t rows) const;

 private:
  void decode_tile(const OpenTile& opened, std::int8_t* out, std::size_t stride) const;

  std::size_t cols_ = 0;
  QuadTable table_;
  std::vector<std::vector<std::uint32_t>> lookup_;  // of each class
  Path path_;
};

}  // namespace twofold
