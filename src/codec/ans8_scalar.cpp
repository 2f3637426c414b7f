#include "codec/ans8_lanes.h"

namespace twofold {

namespace {

constexpr std::size_t kGroup = 8;  // lanes whose loads are all in flight before the arithmetic of the first

inline std::int8_t add(std::int8_t weight, int raw) {
  return static_cast<std::int8_t>(static_cast<std::uint8_t>(weight) + raw);
}

/// Adds the raw bits of a unit, when all weights have `bits`.
inline void add_planes(const std::uint8_t* planes, int bits, std::int8_t* out) {
  if (bits > 1) {
    for (int t = 0; t < 4; ++t) {
      for (int j = 0; j < 16; ++j) out[16 * t + j] = add(out[16 * t + j], planes[j] >> 2 * t & 3);
    }
    planes += 16;
  }
  if (bits % 2 == 1) {
    for (int t = 0; t < 8; ++t) {
      for (int j = 0; j < 8; ++j) out[8 * t + j] = add(out[8 * t + j], (planes[j] >> t & 1) << (bits - 1));
    }
  }
}

/// Steps 8 lanes; writes their weights without raw bits, returns the position after the bytes taken.
inline const std::uint8_t* decode_group(const std::uint32_t* slots, std::uint32_t* states,
                                        const std::uint8_t* bytes, std::int8_t* out) {
  std::uint32_t entry[kGroup];
#pragma GCC unroll 8
  for (std::size_t i = 0; i < kGroup; ++i) {
    entry[i] = slots[states[i] & 0xff];
    out[i] = static_cast<std::int8_t>(entry[i] & 0xff);
  }
#pragma GCC unroll 8
  for (std::size_t i = 0; i < kGroup; ++i) {
    const std::uint32_t next = (entry[i] >> 8 & 0xff) * (states[i] >> 8) + (entry[i] >> 16 & 0xff);
    // All ones below 256. Arithmetic and not a branch, because no branch predictor can guess it.
    const std::uint32_t is_short = 0u - static_cast<std::uint32_t>(next < 256);
    states[i] = next << (is_short & 8) | (*bytes & is_short);
    bytes += is_short & 1;
  }
  return bytes;
}

}  // namespace

void ans8_lanes_scalar(const Ans8Tables& tables, Ans8States& states, Ans8Cursor& cursor) {
  const Ans8Raw kind = tables.raw_kind;
  const std::uint32_t* const slots = tables.slots.data();
  std::uint32_t whole[kAns8Groups][kAns8Unit];
  for (std::size_t i = 0; i < kAns8Groups * kAns8Unit; ++i) {
    const std::size_t group = i / kAns8Unit;
    const std::size_t lane = i % kAns8Unit;
    whole[group][lane] = states.low[group][lane] | std::uint32_t{states.high[group][lane]} << 8;
  }
  Ans8Cursor at = cursor;
  for (; ans8_goes_on(at, kind, 1); --at.units) {
    std::uint32_t* const lanes = whole[at.group];
    for (std::size_t lane = 0; lane < kAns8Unit; lane += kGroup) {
      int has_raw[kGroup];
      if (kind == Ans8Raw::kSome) {
        for (std::size_t i = 0; i < kGroup; ++i)
          has_raw[i] = static_cast<int>(slots[lanes[lane + i] & 0xff] >> 31);
      }
      at.bytes = decode_group(slots, lanes + lane, at.bytes, at.out + lane);
      if (kind == Ans8Raw::kSome) {
        for (std::size_t i = 0; i < kGroup; ++i) {
          at.out[lane + i] = add(at.out[lane + i], *at.raw & -has_raw[i]);
          at.raw += has_raw[i];
        }
      }
    }
    if (kind != Ans8Raw::kNone && kind != Ans8Raw::kSome) {
      add_planes(at.raw, static_cast<int>(kind), at.out);
      at.raw += ans8_raw_unit(kind);
    }
    at.out += kAns8Unit;
    at.group = (at.group + 1) % kAns8Groups;
  }
  cursor = at;
  for (std::size_t i = 0; i < kAns8Groups * kAns8Unit; ++i) {
    const std::size_t group = i / kAns8Unit;
    const std::size_t lane = i % kAns8Unit;
    states.low[group][lane] = static_cast<std::uint8_t>(whole[group][lane]);
    states.high[group][lane] = static_cast<std::uint8_t>(whole[group][lane] >> 8);
  }
}

}  // namespace twofold
