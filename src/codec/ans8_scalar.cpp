#include "codec/ans8_lanes.h"

namespace twofold {

namespace {

constexpr std::size_t kGroup = 8;  // lanes whose loads are all in flight before the arithmetic of the first

/// Raw bits of a lane, when all have `bits`.
inline std::uint32_t plane_bits(const std::uint8_t* planes, std::size_t lane, std::size_t bits) {
  std::uint32_t raw = 0;
  if (bits > 1) raw = planes[lane % 16] >> (lane / 16 * 2) & 3;
  if (bits % 2 == 1) raw |= (planes[16 * (bits / 2) + lane % 8] >> (lane / 8) & 1u) << (bits - 1);
  return raw;
}

/// The states of 8 lanes; writes their weights without raw bits, returns the position after the bytes taken.
inline const std::uint8_t* decode_group(const std::uint32_t* slots, std::uint8_t* low, std::uint8_t* high,
                                        const std::uint8_t* bytes, std::int8_t* out) {
  std::uint32_t entry[kGroup];
  std::uint32_t next[kGroup];
#pragma GCC unroll 8
  for (std::size_t i = 0; i < kGroup; ++i) {
    entry[i] = slots[low[i]];
    next[i] = (entry[i] >> 8 & 0xff) * high[i] + (entry[i] >> 16 & 0xff);
  }
#pragma GCC unroll 8
  for (std::size_t i = 0; i < kGroup; ++i) {
    // 1 below 256. Arithmetic and not a branch, because no branch predictor can guess it.
    const std::uint32_t is_short = (next[i] - 256) >> 31;
    next[i] = next[i] << (8 * is_short) | (*bytes & (0u - is_short));
    bytes += is_short;
  }
#pragma GCC unroll 8
  for (std::size_t i = 0; i < kGroup; ++i) {
    low[i] = static_cast<std::uint8_t>(next[i]);
    high[i] = static_cast<std::uint8_t>(next[i] >> 8);
    out[i] = static_cast<std::int8_t>(entry[i] & 0xff);
  }
  return bytes;
}

inline std::int8_t add(std::int8_t weight, std::uint32_t raw) {
  return static_cast<std::int8_t>(static_cast<std::uint32_t>(weight) + raw);
}

}  // namespace

void ans8_lanes_scalar(const Ans8Tables& tables, Ans8States& states, Ans8Cursor& cursor) {
  const Ans8Raw kind = tables.raw_kind;
  Ans8Cursor at = cursor;
  for (; ans8_goes_on(at, kind, 1); --at.units) {
    std::uint8_t* const low = states.low[at.group].data();
    std::uint8_t* const high = states.high[at.group].data();
    for (std::size_t lane = 0; lane < kAns8Unit; lane += kGroup) {
      if (kind == Ans8Raw::kSome) {
        std::uint8_t has_raw[kGroup];
        for (std::size_t i = 0; i < kGroup; ++i) has_raw[i] = tables.slots[low[lane + i]] >> 31;
        at.bytes = decode_group(tables.slots.data(), low + lane, high + lane, at.bytes, at.out + lane);
        for (std::size_t i = 0; i < kGroup; ++i) {
          at.out[lane + i] = add(at.out[lane + i], *at.raw & (0u - has_raw[i]));
          at.raw += has_raw[i];
        }
      } else {
        at.bytes = decode_group(tables.slots.data(), low + lane, high + lane, at.bytes, at.out + lane);
      }
    }
    if (kind != Ans8Raw::kNone && kind != Ans8Raw::kSome) {
      for (std::size_t lane = 0; lane < kAns8Unit; ++lane) {
        at.out[lane] = add(at.out[lane], plane_bits(at.raw, lane, static_cast<std::size_t>(kind)));
      }
      at.raw += ans8_raw_unit(kind);
    }
    at.out += kAns8Unit;
    at.group = (at.group + 1) % kAns8Groups;
  }
  cursor = at;
}

}  // namespace twofold
