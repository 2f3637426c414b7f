#pragma once

#include "codec/device/host_device.h"

// The lanes of `packed` and `tiered` (docs/planes.md). A lane takes 8 weights that follow each other, 8 lanes
// a group of 64, so that a warp has four groups at a time. Between the steps of a level a warp adds up who
// goes on.
namespace twofold::device {

inline constexpr int kPlaneLevels = 5;  // at most

/// What lanes need of a class.
struct PlaneClassView {
  std::int32_t low_bits;
  std::int32_t root_bits;  // none: the low bits are the value
  std::int32_t levels;
  std::int32_t base;
  std::uint8_t leaves[kPlaneLevels];
  std::uint8_t step[kPlaneLevels];
  const std::uint8_t* by_code;  // 128 values

  /// What unsigned_values lack.
  TWOFOLD_HD std::int32_t unsigned_base() const { return low_bits == 8 ? -128 : base; }
  TWOFOLD_HD std::uint32_t group_bytes() const {
    return 8 * static_cast<std::uint32_t>(low_bits + root_bits);
  }
};

/// Codes of the weights 4 q ... 4 q + 3 of a group in the plane, as bytes; `bits` each.
TWOFOLD_HD std::uint32_t plane_quad(const std::uint8_t* group, std::int32_t bits, std::uint32_t q) {
  if (bits == 8) return load_word(group, q);
  std::uint32_t codes = 0;
  if ((bits & 4) != 0) {
    codes = load_word(group, q % 8) >> (q / 8 * 4) & 0x0f0f0f0fU;
    group += 32;
  }
  if ((bits & 2) != 0) {
    codes |= (load_word(group, q % 4) >> (q / 4 * 2) & 0x03030303U) << (bits & 4);
    group += 16;
  }
  if ((bits & 1) != 0) {
    const std::uint32_t four = load_word(group, q / 8) >> (q % 8 * 4) & 15;
    codes |= (four * 0x00204081U & 0x01010101U) << (bits & 6);  // a bit to each byte
  }
  return codes;
}

/// plane_quad of q and q + 8, q < 8, which share words of the sub-planes.
template <int kBits>
TWOFOLD_HD void plane_two_quads(const std::uint8_t* group, std::uint32_t q, std::uint32_t* codes) {
  codes[0] = codes[1] = 0;
  if (kBits == 8) {
    codes[0] = load_word(group, q);
    codes[1] = load_word(group, q + 8);
    return;
  }
  if ((kBits & 4) != 0) {
    const std::uint32_t word = load_word(group, q);
    codes[0] = word & 0x0f0f0f0fU;
    codes[1] = word >> 4 & 0x0f0f0f0fU;
    group += 32;
  }
  if ((kBits & 2) != 0) {
    const std::uint32_t word = load_word(group, q % 4) >> (q / 4 * 2);
    codes[0] |= (word & 0x03030303U) << (kBits & 4);
    codes[1] |= (word >> 4 & 0x03030303U) << (kBits & 4);
    group += 16;
  }
  if ((kBits & 1) != 0) {
    for (std::uint32_t i = 0; i < 2; ++i) {
      const std::uint32_t four = load_word(group, i) >> (q * 4) & 15;
      codes[i] |= (four * 0x00204081U & 0x01010101U) << (kBits & 6);
    }
  }
}

/// Quads 2 t, 2 t + 8, 2 t + 1, 2 t + 9 of a group, t < 4: those that a lane multiplies by tensor cores.
/// Words of the sub-planes come in pairs.
template <int kBits>
TWOFOLD_HD void plane_four_quads(const std::uint8_t* group, std::uint32_t t, std::uint32_t* codes) {
  if (kBits == 8) {
    load_two_words(group, t, codes[0], codes[2]);
    load_two_words(group, t + 4, codes[1], codes[3]);
    return;
  }
  codes[0] = codes[1] = codes[2] = codes[3] = 0;
  if ((kBits & 4) != 0) {
    std::uint32_t words[2];
    load_two_words(group, t, words[0], words[1]);
    TWOFOLD_UNROLL
    for (int i = 0; i < 2; ++i) {
      codes[2 * i] = words[i] & 0x0f0f0f0fU;
      codes[2 * i + 1] = words[i] >> 4 & 0x0f0f0f0fU;
    }
    group += 32;
  }
  if ((kBits & 2) != 0) {
    std::uint32_t words[2];
    load_two_words(group, t % 2, words[0], words[1]);
    TWOFOLD_UNROLL
    for (int i = 0; i < 2; ++i) {
      const std::uint32_t word = words[i] >> (t / 2 * 2);
      codes[2 * i] |= (word & 0x03030303U) << (kBits & 4);
      codes[2 * i + 1] |= (word >> 4 & 0x03030303U) << (kBits & 4);
    }
    group += 16;
  }
  if ((kBits & 1) != 0) {
    std::uint32_t words[2];
    load_two_words(group, 0, words[0], words[1]);
    TWOFOLD_UNROLL
    for (int i = 0; i < 4; ++i) {
      const std::uint32_t four = words[i % 2] >> (8 * t + i / 2 * 4) & 15;
      codes[i] |= (four * 0x00204081U & 0x01010101U) << (kBits & 6);
    }
  }
}

TWOFOLD_HD std::uint32_t count_bits(std::uint32_t word) {
#if defined(__CUDA_ARCH__)
  return static_cast<std::uint32_t>(__popc(static_cast<int>(word)));
#else
  return static_cast<std::uint32_t>(__builtin_popcount(word));
#endif
}

/// Codes that go on at a level: bit 7 of their bytes. Codes with levels have 7 bits.
TWOFOLD_HD std::uint32_t plane_on(const PlaneClassView& c, int level, std::uint32_t codes) {
  const std::int32_t first = c.leaves[level] << c.low_bits;  // at most 128
  return (codes + static_cast<std::uint32_t>(128 - first) * 0x01010101U) & 0x80808080U;
}

/// The lane's 8 weights of a group: codes in two words, then level by level.
struct PlaneLane {
  std::uint32_t codes[2];
  std::uint32_t on[2];

  TWOFOLD_HD void open(const PlaneClassView& c, const std::uint8_t* group, std::uint32_t lane_of_group) {
    for (std::uint32_t i = 0; i < 2; ++i) {
      codes[i] = plane_quad(group, c.low_bits + c.root_bits, 2 * lane_of_group + i);
    }
  }

  /// How many of the weights go on at a level.
  TWOFOLD_HD std::uint32_t count(const PlaneClassView& c, int level) {
    for (int i = 0; i < 2; ++i) on[i] = plane_on(c, level, codes[i]);
    return count_bits(on[0]) + count_bits(on[1]);
  }

  /// Gives them their bits. The group's first bit is bit `start` of the level, the lane's first one is `rank`
  /// behind it. A group has at most the bits in 8 bytes; more would be zeros.
  TWOFOLD_HD void take(const PlaneClassView& c, int level, const std::uint8_t* bytes, std::uint64_t start,
                       std::uint32_t rank) {
    if ((on[0] | on[1]) == 0) return;
    const std::uint64_t at = start + rank;
    const std::uint32_t two = bytes[at >> 3] | static_cast<std::uint32_t>(bytes[(at >> 3) + 1]) << 8;
    const auto in_group = static_cast<std::uint32_t>(start & 7) + rank;
    std::uint32_t bits = two >> (at & 7) & 255;
    if (in_group > 56) bits &= in_group < 64 ? (1U << (64 - in_group)) - 1 : 0;
    const std::uint32_t step = static_cast<std::uint32_t>(c.step[level]) << c.low_bits;
    for (int i = 0; i < 2; ++i) {
      for (int shift = 0; shift < 32; shift += 8) {
        const std::uint32_t goes_on = on[i] >> (shift + 7) & 1;
        // Bytes stay below 128: a table whose codes do not is an Error.
        codes[i] += (goes_on & bits) * step << shift;
        bits >>= goes_on;
      }
    }
  }

  /// Four of the weights, less the base, as bytes.
  TWOFOLD_HD std::uint32_t values(const PlaneClassView& c, int i) const {
    if (c.root_bits == 0) return codes[i];
    std::uint32_t bytes = 0;
    for (int shift = 0; shift < 32; shift += 8) {
      bytes |= static_cast<std::uint32_t>(c.by_code[codes[i] >> shift & 127]) << shift;
    }
    return bytes;
  }

  /// Four of the weights, less unsigned_base, which are not negative.
  TWOFOLD_HD std::uint32_t unsigned_values(const PlaneClassView& c, int i) const {
    return c.low_bits == 8 ? codes[i] ^ 0x80808080U : values(c, i);
  }
};

struct PlaneCorrection {
  std::uint32_t gap;
  std::int32_t difference;
};

/// Entry i of a list of corrections. The byte behind the list can be read.
TWOFOLD_HD PlaneCorrection plane_correction(const std::uint8_t* list, std::uint64_t i, std::int32_t gap_bits,
                                            std::int32_t delta_bits) {
  const std::int32_t width = gap_bits + delta_bits;  // at most 16
  const std::uint64_t bit = i * static_cast<std::uint64_t>(width);
  const std::uint8_t* const at = list + (bit >> 3);
  const std::uint32_t field =
      (at[0] | static_cast<std::uint32_t>(at[1]) << 8 | static_cast<std::uint32_t>(at[2]) << 16) >> (bit & 7);
  // Shifting the difference to the top extends its sign on the way back.
  return {field & ((1U << gap_bits) - 1),
          static_cast<std::int32_t>(field << (32 - width)) >> (32 - delta_bits)};
}

}  // namespace twofold::device
