#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "codec/ans_lanes.h"
#include "codec/ans_model.h"

namespace twofold {

// One rANS state by itself, for what is not worth 64 lanes: the rare values and the tail of a chunk.
// Duda, "Asymmetric numeral systems", arXiv 1311.2540, section 3.3; state in [2^16, 2^32), words of 16 bits.

/// Codes backwards: the symbol coded last is decoded first.
class AnsSerialEncoder {
 public:
  /// Codes a symbol that owns `frequency` (1-4096) slots of 4096 from `start`.
  void put(std::uint32_t start, std::uint32_t frequency) {
    if (state_ >= static_cast<std::uint64_t>(frequency) << (32 - kAnsBits)) {
      words_.push_back(static_cast<std::uint16_t>(state_));
      state_ >>= 16;
    }
    state_ = (state_ / frequency << kAnsBits) + state_ % frequency + start;
  }

  std::size_t words() const { return words_.size() + 2; }

  /// All words in the order in which they are read: the state, high half first, then the rest.
  std::vector<std::uint16_t> finish() const {
    std::vector<std::uint16_t> result{static_cast<std::uint16_t>(state_ >> 16),
                                      static_cast<std::uint16_t>(state_)};
    result.insert(result.end(), words_.rbegin(), words_.rend());
    return result;
  }

 private:
  std::uint32_t state_ = kAnsLow;
  std::vector<std::uint16_t> words_;
};

/// Reads words from `head`, then from `rest` (16 bits each, little-endian). Reading past the end yields
/// zeros and makes `finished` false.
class AnsSerialDecoder {
 public:
  AnsSerialDecoder(std::span<const std::uint16_t> head, std::span<const std::uint8_t> rest)
      : head_(head), rest_(rest) {
    state_ = static_cast<std::uint32_t>(next_word()) << 16;
    state_ |= next_word();
  }

  std::uint32_t slot() const { return state_ % kAnsTotal; }

  /// Removes the symbol that owns `frequency` slots from `slot()` - `offset`.
  void advance(std::uint32_t frequency, std::uint32_t offset) {
    state_ = frequency * (state_ >> kAnsBits) + offset;
    if (state_ < kAnsLow) state_ = state_ << 16 | next_word();
  }

  /// Whether exactly what AnsSerialEncoder wrote has been read. Unused words of `head` must be zero.
  bool finished() const {
    for (std::size_t i = position_; i < head_.size(); ++i) {
      if (head_[i] != 0) return false;
    }
    const std::size_t used = position_ < head_.size() ? 0 : position_ - head_.size();
    return state_ == kAnsLow && rest_.size() == 2 * used;
  }

 private:
  std::uint16_t next_word() {
    const std::size_t i = position_++;
    if (i < head_.size()) return head_[i];
    const std::size_t byte = 2 * (i - head_.size());
    if (rest_.size() < 2 || byte > rest_.size() - 2) return 0;
    return static_cast<std::uint16_t>(rest_[byte] | rest_[byte + 1] << 8);
  }

  std::span<const std::uint16_t> head_;
  std::span<const std::uint8_t> rest_;
  std::size_t position_ = 0;  // words read
  std::uint32_t state_;
};

}  // namespace twofold
