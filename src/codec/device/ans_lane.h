#pragma once

#include "codec/device/host_device.h"

// The codec `ans` (docs/codecs.md) for a warp: thread i of 32 has the lanes 2 i and 2 i + 1. A step decodes
// all lanes; a lane's word comes behind those of the lanes before it that need one.
namespace twofold::device {

inline constexpr std::uint32_t kAnsMaxClasses = 16;
inline constexpr std::uint32_t kAnsBlockRows = 16;  // rows of a block of the coded order

/// What decoding needs of a class of columns.
struct AnsClassView {
  const std::uint32_t* slots;  // 4096 entries; nullptr: every weight is `value`
  const std::int8_t* rare;     // what the escape stands for
  std::uint32_t rare_count;    // 0: no escape
  std::int32_t value;          // of one value, or the escape's
  std::uint32_t begin, end;    // columns, in the order of the classes
};

struct AnsMatrixView {
  AnsClassView classes[kAnsMaxClasses];
  std::uint32_t class_count;
};

/// Where the weights of a class lie in the coded order of a chunk.
struct AnsRegion {
  std::uint32_t begin;  // first weight
  std::uint32_t main;   // weights decoded by the lanes, a multiple of 64
  std::uint32_t tail;   // those after them
};

/// Of class c in a chunk of so many rows, with `tail` weights of all classes decoded serially.
TWOFOLD_HD AnsRegion ans_region(const AnsMatrixView& matrix, std::uint32_t rows, std::uint32_t tail,
                                std::uint32_t c) {
  for (std::uint32_t k = matrix.class_count; --k > c;) {
    const AnsClassView& behind = matrix.classes[k];
    if (behind.slots == nullptr) continue;
    const std::uint32_t weights = (behind.end - behind.begin) * rows;
    tail -= tail < weights ? tail : weights;
  }
  const AnsClassView& own = matrix.classes[c];
  const std::uint32_t weights = (own.end - own.begin) * rows;
  if (own.slots == nullptr) tail = 0;
  if (tail > weights) tail = weights;
  return {own.begin * rows, weights - tail, tail};
}

/// Bits that the head takes for a lane.
TWOFOLD_HD std::uint32_t ans_head_bits(const std::uint8_t* sizes, std::uint32_t lane) {
  return (static_cast<std::uint32_t>(sizes[lane / 2]) >> (lane % 2 * 4) & 15) + 16;
}

/// The state whose bits begin at bit `position` behind the sizes. `end`: bytes that can be read from there
/// on.
TWOFOLD_HD std::uint32_t ans_head_state(const std::uint8_t* bytes, std::uint32_t end, std::uint32_t position,
                                        std::uint32_t bits) {
  std::uint64_t window = 0;
  for (std::uint32_t i = 0; i < 5; ++i) {
    const std::uint32_t at = position / 8 + i;
    if (at < end) window |= static_cast<std::uint64_t>(bytes[at]) << (8 * i);
  }
  const auto low = static_cast<std::uint32_t>(window >> (position % 8));
  return (low & ((1U << bits) - 1)) | 1U << bits;  // at most 31 bits and the one above
}

/// One weight from a state. An entry of the table has the weight in bits 0-7, the frequency of its symbol in
/// 8-19, and the slot less the symbol's first one in 20-31.
TWOFOLD_HD std::int32_t ans_lane_step(const std::uint32_t* table, std::uint32_t& state) {
  const std::uint32_t entry = table[state & 4095];
  state = (entry >> 8 & 4095) * (state >> 12) + (entry >> 20);
  return static_cast<std::int8_t>(entry & 255);
}

TWOFOLD_HD bool ans_needs_word(std::uint32_t state) {
  return state < 1U << 16;
}

TWOFOLD_HD std::uint32_t ans_with_word(std::uint32_t state, std::uint32_t word) {
  return state << 16 | word;
}

/// The serial state (AnsSerialDecoder), with the words of the 64 lanes in front if there are lanes. Words
/// behind the end are zeros and make `finished` false.
class AnsSerial {
 public:
  TWOFOLD_HD AnsSerial(const std::uint16_t* head, std::uint32_t head_words, const std::uint8_t* rest,
                       std::uint32_t rest_bytes)
      : head_(head), head_words_(head_words), rest_(rest), rest_bytes_(rest_bytes) {
    state_ = next_word() << 16;
    state_ |= next_word();
  }

  /// What one of `count` (1-256) values that share the slots evenly is decoded.
  TWOFOLD_HD std::uint32_t index(std::uint32_t count) {
    const std::uint32_t slot = state_ & 4095;
    const std::uint32_t i = ((slot + 1) * count - 1) >> 12;
    const std::uint32_t start = i * 4096 / count;
    advance((i + 1) * 4096 / count - start, slot - start);
    return i;
  }
  TWOFOLD_HD std::int8_t weight(const AnsClassView& c) {
    const std::uint32_t entry = c.slots[state_ & 4095];
    advance(entry >> 8 & 4095, entry >> 20);
    const auto value = static_cast<std::int8_t>(entry & 255);
    return c.rare_count > 0 && value == c.value ? c.rare[index(c.rare_count)] : value;
  }
  TWOFOLD_HD bool finished() const {
    for (std::uint32_t i = position_; i < head_words_; ++i) {
      if (head_[i] != 0) return false;
    }
    const std::uint32_t used = position_ < head_words_ ? 0 : position_ - head_words_;
    return state_ == 1U << 16 && rest_bytes_ == 2 * used;
  }

 private:
  TWOFOLD_HD void advance(std::uint32_t frequency, std::uint32_t offset) {
    state_ = frequency * (state_ >> 12) + offset;
    if (ans_needs_word(state_)) state_ = ans_with_word(state_, next_word());
  }
  TWOFOLD_HD std::uint32_t next_word() {
    const std::uint32_t i = position_++;
    if (i < head_words_) return head_[i];
    const std::uint32_t at = 2 * (i - head_words_);
    if (rest_bytes_ < 2 || at > rest_bytes_ - 2) return 0;
    return rest_[at] | static_cast<std::uint32_t>(rest_[at + 1]) << 8;
  }

  const std::uint16_t* head_;
  std::uint32_t head_words_;
  const std::uint8_t* rest_;
  std::uint32_t rest_bytes_;
  std::uint32_t position_ = 0;
  std::uint32_t state_;
};

/// The coded order of a matrix's columns; no classes: that of the matrix.
struct AnsOrderView {
  const std::uint32_t* place;  // of each column, in the order of the classes
  const std::uint8_t* of;      // class of each column
  std::uint32_t begin[kAnsMaxClasses + 1];
  std::uint32_t cols;
};

/// Where the column's first weight is, of a block of `height` rows from row `first` of the chunk's `rows` on.
/// The others follow it.
TWOFOLD_HD std::uint64_t ans_column_at(const AnsOrderView& order, std::uint32_t column, std::uint32_t rows,
                                       std::uint32_t first, std::uint32_t height) {
  const std::uint64_t from = order.begin[order.of[column]];
  const std::uint64_t to = order.begin[order.of[column] + 1];
  return from * rows + (to - from) * first + (order.place[column] - from) * height;
}

}  // namespace twofold::device
