#pragma once

#include "codec/codec.h"

namespace twofold {

/// Base of the codecs that code every chunk by itself: their table is empty, and so is a chunk without
/// weights. Objects live as long as the program.
class TablelessCodec : public Codec {
 public:
  std::vector<std::uint8_t> make_table(std::span<const std::int8_t>, std::int64_t) const override {
    return {};
  }
  void encode(std::span<const std::uint8_t> table, std::span<const std::int8_t> chunk, std::int64_t cols,
              std::vector<std::uint8_t>& out) const override;
  std::unique_ptr<Decoder> make_decoder(std::span<const std::uint8_t> table, std::int64_t cols,
                                        Isa isa) const override;

  /// Appends the encoding of at least one byte.
  virtual void compress(std::span<const std::uint8_t> bytes, std::vector<std::uint8_t>& out) const = 0;
  /// Decodes hostile bytes (at least one) into exactly `out` (at least one byte); false when they are not
  /// the encoding of that many bytes. Thread-safe.
  virtual bool decompress(std::span<const std::uint8_t> coded, std::span<std::uint8_t> out) const = 0;
  /// As Decoder::direct.
  virtual const std::int8_t* direct(std::span<const std::uint8_t>, std::size_t) const { return nullptr; }

 protected:
  [[noreturn]] void fail_compress() const;
};

}  // namespace twofold
