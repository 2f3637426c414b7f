#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace twofold {

/// Appends bit fields to a byte vector, the first bit in the lowest bit of a byte. The last byte is padded
/// with zeros.
class BitWriter {
 public:
  explicit BitWriter(std::vector<std::uint8_t>& out) : out_(out) {}

  /// Appends the low `bits` (0-31) bits of `value`.
  void put(std::uint32_t value, int bits) {
    while (bits > 0) {
      if (used_ == 0) out_.push_back(0);
      const int take = bits < 8 - used_ ? bits : 8 - used_;
      out_.back() = static_cast<std::uint8_t>(out_.back() | (value & ((1u << take) - 1)) << used_);
      used_ = (used_ + take) % 8;
      value >>= take;
      bits -= take;
    }
  }

 private:
  std::vector<std::uint8_t>& out_;
  int used_ = 0;  // bits in the last byte, 0 when it is full
};

/// Reads what BitWriter wrote. Never reads past the end: then `ok` turns false and zeros come back.
class BitReader {
 public:
  explicit BitReader(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

  /// The next `bits` (0-31) bits.
  std::uint32_t get(int bits) {
    if (position_ + static_cast<std::size_t>(bits) > bytes_.size() * 8) {
      ok_ = false;
      return 0;
    }
    std::uint32_t value = 0;
    for (int got = 0; got < bits;) {
      const int offset = static_cast<int>(position_ % 8);
      const int take = bits - got < 8 - offset ? bits - got : 8 - offset;
      const std::uint32_t part =
          (static_cast<std::uint32_t>(bytes_[position_ / 8]) >> offset) & ((1u << take) - 1);
      value |= part << got;
      got += take;
      position_ += static_cast<std::size_t>(take);
    }
    return value;
  }

  bool ok() const { return ok_; }

  /// Skips the padding of the last byte read and returns the bytes read so far. The padding must be zero.
  std::size_t finish() {
    if (position_ % 8 != 0 && get(static_cast<int>(8 - position_ % 8)) != 0) ok_ = false;
    return position_ / 8;
  }

 private:
  std::span<const std::uint8_t> bytes_;
  std::size_t position_ = 0;  // bits
  bool ok_ = true;
};

}  // namespace twofold
