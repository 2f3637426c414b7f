#pragma once

#include "codec/device/host_device.h"

// The lanes of the codec `ans` (docs/codecs.md). A step decodes lanes 0 ... 63 in order; a warp takes it in
// two halves, and in each a lane's word comes behind those of the lanes before it that need one.
namespace twofold::device {

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

}  // namespace twofold::device
