#include <bit>
#include <cstring>

#include "codec/ans_lanes.h"
#include "codec/ans_model.h"

namespace twofold {

namespace {

inline std::uint32_t load_word(const std::uint8_t* bytes) {
  if constexpr (std::endian::native == std::endian::little) {
    std::uint16_t word;
    std::memcpy(&word, bytes, 2);
    return word;
  }
  return bytes[0] | static_cast<std::uint32_t>(bytes[1]) << 8;
}

}  // namespace

void ans_lanes_scalar(const std::uint32_t* table, std::uint32_t* states, AnsCursor& cursor) {
  constexpr std::size_t kGroup = 8;
  const std::uint8_t* words = cursor.words;
  std::int8_t* out = cursor.out;
  std::size_t steps = cursor.steps;
  for (; steps > 0 && cursor.end - words >= static_cast<std::ptrdiff_t>(kAnsStepBytes); --steps) {
    // Lanes wait for each other only in the position in the words, so the loads of a group can all be in
    // flight before the first one's arithmetic begins.
    for (std::size_t group = 0; group < kAnsLanes; group += kGroup) {
      std::uint32_t entry[kGroup];
#pragma GCC unroll 8
      for (std::size_t i = 0; i < kGroup; ++i) {
        entry[i] = table[states[group + i] % kAnsTotal];
        out[group + i] = static_cast<std::int8_t>(entry[i] & 0xff);
      }
#pragma GCC unroll 8
      for (std::size_t i = 0; i < kGroup; ++i) {
        const std::uint32_t state = states[group + i] >> kAnsBits;
        const std::uint32_t next = (entry[i] >> 8 & 0xfff) * state + (entry[i] >> 20);
        // All ones when the state needs a word. Arithmetic, because no branch predictor can guess it.
        const std::uint32_t low = 0u - static_cast<std::uint32_t>(next < kAnsLow);
        states[group + i] = next << (low & 16) | (load_word(words) & low);
        words += low & 2;
      }
    }
    out += kAnsLanes;
  }
  cursor.words = words;
  cursor.out = out;
  cursor.steps = steps;
}

}  // namespace twofold
