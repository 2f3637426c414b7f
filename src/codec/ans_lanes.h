#pragma once

#include <cstddef>
#include <cstdint>

#include "base/cpu.h"

namespace twofold {

inline constexpr std::size_t kAnsLanes = 64;
inline constexpr std::uint32_t kAnsLow = 1u << 16;           // states are at least this
inline constexpr std::size_t kAnsStepBytes = 2 * kAnsLanes;  // most words one step can read

/// Where the decoding of the lanes stands.
struct AnsCursor {
  const std::uint8_t* words;  // 16-bit words, little-endian, unaligned
  const std::uint8_t* end;    // of the bytes that may be read
  std::int8_t* out;
  std::size_t steps;  // left to do; each decodes 64 weights
};

/// The inner loop of the `ans` codec, one function per instruction set, all with the same result. Decodes
/// steps until none is left or fewer than kAnsStepBytes bytes are left to read, so that a step need not
/// look where the words end. `states` are the 64 lanes' states. `table` has 4096 entries, one per slot:
///   bits 0-7 weight, 8-19 frequency of its symbol, 20-31 slot - first slot of the symbol.
/// Touches nothing but cursor.words .. cursor.end and steps * 64 bytes of cursor.out.
using AnsLanesFunction = void (*)(const std::uint32_t* table, std::uint32_t* states, AnsCursor& cursor);

void ans_lanes_scalar(const std::uint32_t* table, std::uint32_t* states, AnsCursor& cursor);
void ans_lanes_avx2(const std::uint32_t* table, std::uint32_t* states, AnsCursor& cursor);    // x86-64 only
void ans_lanes_avx512(const std::uint32_t* table, std::uint32_t* states, AnsCursor& cursor);  // x86-64 only

/// The function for an instruction set.
AnsLanesFunction ans_lanes(Isa isa);

}  // namespace twofold
