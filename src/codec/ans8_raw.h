#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace twofold {

// The raw bits of a class, k (1-3) for each weight that has some, in planes: a group of 64 fields (the last
// one: what is left, filled up with zeros to a multiple of 8) is, when k > 1, a plane of the low 2 bits,
// then, when k is odd, a plane of the highest bit. In a plane of b bits for g fields, byte j of g b / 8 holds
// the fields j, j + g b / 8, j + 2 g b / 8, ..., the first one in its lowest bits.

/// Bytes of `count` fields of k bits.
inline std::size_t ans8_raw_bytes(std::size_t count, int k) {
  return (count + 7) / 8 * static_cast<std::size_t>(k);
}

/// Appends the planes of the fields.
void write_ans8_raw(std::span<const std::uint8_t> fields, int k, std::vector<std::uint8_t>& out);

/// Unpacks the fields of a class window by window.
class Ans8RawReader {
 public:
  static constexpr std::size_t kBatch =
      8192;  // fields there are after `fill`, unless the class has fewer left
  static constexpr std::size_t kPadding = 64;  // zeros behind them

  /// `bytes` has ans8_raw_bytes(count, k) bytes.
  Ans8RawReader(std::span<const std::uint8_t> bytes, std::size_t count, int k)
      : bytes_(bytes), packed_(count), k_(k) {}

  void fill();
  const std::uint8_t* data() const { return window_.data() + at_; }
  const std::uint8_t* end() const { return window_.data() + size_; }  // kPadding zeros follow
  /// Takes the fields before `data`; false when there are not that many.
  bool advance(const std::uint8_t* data);
  bool finished() const { return at_ == size_ && packed_ == 0; }

 private:
  std::span<const std::uint8_t> bytes_;  // not yet unpacked
  std::size_t packed_;                   // fields in them
  int k_;
  std::size_t at_ = 0, size_ = 0;  // of the window
  alignas(64) std::array<std::uint8_t, kBatch + 64 + kPadding> window_;
};

}  // namespace twofold
