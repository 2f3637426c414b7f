#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/cpu.h"

namespace twofold {

/// Decodes the chunks of one tensor. Thread-safe.
class Decoder {
 public:
  virtual ~Decoder() = default;

  /// Decodes one chunk into exactly out.size() weights, row-major. `coded` may be hostile: nothing outside
  /// the two spans is ever read or written, and anything that is not the encoding of out.size() weights
  /// is an Error (the caller's checksum finds what happens to decode).
  virtual void decode(std::span<const std::uint8_t> coded, std::span<std::int8_t> out) const = 0;

  /// The matrix's column at each place of a row as `decode_in_order` gives it; empty when that is the
  /// matrix's own order.
  virtual std::span<const std::int32_t> column_order() const { return {}; }

  /// As `decode`, but with the columns in the order in which they are stored, which is faster: products do
  /// not depend on it if the activations are put in the same order.
  virtual void decode_in_order(std::span<const std::uint8_t> coded, std::span<std::int8_t> out) const {
    decode(coded, out);
  }

  /// The weights themselves where the codec stores them as they are, or nullptr: then `decode` is needed.
  virtual const std::int8_t* direct(std::span<const std::uint8_t> coded, std::size_t count) const;
};

/// A lossless code for matrices of INT8 weights, stage two. A tensor is cut into chunks of whole rows that
/// decode independently; what all chunks share (frequency tables) is the table. Encoding is deterministic.
class Codec {
 public:
  virtual ~Codec() = default;

  virtual std::string_view name() const = 0;  // as in `--codec` and in the container

  /// Builds the table for a tensor of rows of `cols` weights. May be empty. `weights` may be empty.
  virtual std::vector<std::uint8_t> make_table(std::span<const std::int8_t> weights,
                                               std::int64_t cols) const = 0;

  /// Appends the encoding of one chunk (whole rows) to `out`. The table must be one that covers the weights.
  virtual void encode(std::span<const std::uint8_t> table, std::span<const std::int8_t> chunk,
                      std::int64_t cols, std::vector<std::uint8_t>& out) const = 0;

  /// A decoder for the tensor's chunks; copies what it needs of the table. A table that is not one is an
  /// Error.
  virtual std::unique_ptr<Decoder> make_decoder(std::span<const std::uint8_t> table, std::int64_t cols,
                                                Isa isa) const = 0;
  std::unique_ptr<Decoder> make_decoder(std::span<const std::uint8_t> table, std::int64_t cols) const {
    return make_decoder(table, cols, active_isa());
  }
};

/// All codecs in the order they are listed to users: raw, packed, tiered, quad, ans, ...
std::span<const Codec* const> codecs();

/// The codec of this name; throws Error listing the names there are.
const Codec& find_codec(std::string_view name);

}  // namespace twofold
