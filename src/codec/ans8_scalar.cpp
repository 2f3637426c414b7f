#include "codec/ans8_lanes.h"

namespace twofold {

namespace {

/// Raw bits of a lane, when all have `bits`.
inline std::uint32_t plane_bits(const std::uint8_t* planes, std::size_t lane, int bits) {
  std::uint32_t raw = bits > 1 ? planes[lane % 16] >> (lane / 16 * 2) & 3 : 0;
  if (bits % 2 == 1)
    raw |= static_cast<std::uint32_t>(planes[8 * (bits - 1) + static_cast<int>(lane % 8)] >> (lane / 8) & 1)
           << (bits - 1);
  return raw;
}

}  // namespace

void ans8_lanes_scalar(const Ans8Tables& tables, Ans8States& states, Ans8Cursor& cursor) {
  const Ans8Raw kind = tables.raw_kind;
  for (; ans8_goes_on(cursor, kind, 1); --cursor.units) {
    const std::uint8_t* bytes = cursor.bytes;
    const std::uint8_t* raw = cursor.raw;
    std::uint8_t* const low = states.low[cursor.group].data();
    std::uint8_t* const high = states.high[cursor.group].data();
    for (std::size_t lane = 0; lane < kAns8Unit; ++lane) {
      const std::uint32_t entry = tables.slots[low[lane]];
      const std::uint32_t next = (entry >> 8 & 0xff) * high[lane] + (entry >> 16 & 0xff);
      // Numbers and not branches, because no branch predictor can guess them.
      const std::uint32_t full = next >> 8 == 0;
      const std::uint32_t state = next << (8 * full) | (*bytes & (0u - full));
      bytes += full;
      low[lane] = static_cast<std::uint8_t>(state);
      high[lane] = static_cast<std::uint8_t>(state >> 8);
      std::uint32_t weight = entry & 0xff;
      if (kind == Ans8Raw::kSome) {
        const std::uint32_t has_raw = entry >> 31;
        weight += *raw & (0u - has_raw);
        raw += has_raw;
      } else if (kind != Ans8Raw::kNone) {
        weight += plane_bits(raw, lane, static_cast<int>(kind));
      }
      cursor.out[lane] = static_cast<std::int8_t>(weight);
    }
    cursor.bytes = bytes;
    cursor.raw = kind == Ans8Raw::kSome ? raw : raw + ans8_raw_unit(kind);
    cursor.out += kAns8Unit;
    cursor.group = (cursor.group + 1) % kAns8Groups;
  }
}

}  // namespace twofold
