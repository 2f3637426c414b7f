#pragma once

#include "codec/codec.h"
#include "codec/plane_rows.h"

namespace twofold {

/// Decoder of the codecs `packed` and `tiered`, open to the kernels that multiply from the coded weights.
class PlaneDecoder : public Decoder {
 public:
  PlaneDecoder(std::span<const std::uint8_t> table, std::int64_t cols, const PlaneRows& rows);

  void decode(std::span<const std::uint8_t> coded, std::span<std::int8_t> out) const override;
  void decode_in_order(std::span<const std::uint8_t> coded, std::span<std::int8_t> out) const override;
  std::span<const std::int32_t> column_order() const override { return columns_.columns.order; }

  /// How the columns are coded, or nullptr when zeros are coded apart: then there is nothing to multiply
  /// from.
  const PlaneTable* table() const { return zeros_apart_ || cols_ == 0 ? nullptr : &columns_; }

  /// A chunk of `rows` rows, checked, at its first row. Needs table().
  PlaneCursor open(std::span<const std::uint8_t> coded, std::int64_t rows) const;

  /// With zeros apart: how the two sequences are coded, each as one class.
  bool zeros_apart() const { return zeros_apart_; }
  const PlaneTable& mask_table() const { return masks_; }
  const PlaneTable& nonzero_table() const { return columns_; }

  /// A chunk with zeros apart, checked, at the first of both sequences. No groups of nonzeros: `nonzeros` is
  /// empty. Whether there are as many nonzeros as the masks say is not looked at.
  struct OpenZeros {
    PlaneCursor masks;
    PlaneCursor nonzeros;
    std::uint64_t nonzero_groups = 0;
  };
  /// Of `count` weights, more than none.
  OpenZeros open_zeros(std::span<const std::uint8_t> coded, std::size_t count) const;

 private:
  void decode_rows(std::span<const std::uint8_t> coded, std::span<std::int8_t> out) const;
  void decode_zeros_apart(std::span<const std::uint8_t> coded, std::span<std::int8_t> out) const;

  std::size_t cols_ = 0;  // 0 when the tensor has no weights
  bool zeros_apart_ = false;
  PlaneTable columns_;  // of the matrix, or of the sequence of its nonzeros
  PlaneTable masks_;    // of the sequence of masks, each of four weights
  const PlaneRows& rows_;
};

}  // namespace twofold
