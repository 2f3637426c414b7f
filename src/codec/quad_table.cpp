#include "codec/quad_table.h"

#include <algorithm>

#include "base/error.h"

namespace twofold {

namespace {

constexpr std::size_t kClassBytes = 5;  // before the frequencies

QuadClass read_class(std::span<const std::uint8_t> bytes) {
  QuadClass result;
  result.low_bits = bytes[0] & 15;
  result.symbols = (bytes[0] >> 4) + 1;
  result.base = static_cast<std::int8_t>(bytes[1]);
  result.gap_bits = bytes[2] & 15;
  result.delta_bits = bytes[2] >> 4;
  result.quads = bytes[3] | bytes[4] << 8;
  if (result.low_bits > kQuadMaxLowBits || result.symbols > kQuadMaxSymbols) {
    fail("quad table: {} low bits and {} symbols, expected at most {} and {}", result.low_bits,
         result.symbols, kQuadMaxLowBits, kQuadMaxSymbols);
  }
  if (result.base + (result.symbols << result.low_bits) > 128) {
    fail("quad table: {} values from {} on, expected none above 127", result.symbols << result.low_bits,
         result.base);
  }
  if (result.gap_bits < 1 || result.gap_bits > kQuadMaxGapBits || result.delta_bits < kQuadMinDeltaBits ||
      result.delta_bits > kQuadMaxDeltaBits) {
    fail("quad table: corrections of {} + {} bits, expected 1-{} + {}-{}", result.gap_bits, result.delta_bits,
         kQuadMaxGapBits, kQuadMinDeltaBits, kQuadMaxDeltaBits);
  }
  if (result.quads < 1 || result.quads > result.quad_count()) {
    fail("quad table: {} coded quads, expected 1 to {}", result.quads, result.quad_count());
  }
  return result;
}

}  // namespace

std::size_t QuadTable::groups(std::size_t c) const {
  return static_cast<std::size_t>((columns.begin[c + 1] - columns.begin[c] + kGroupColumns - 1) /
                                  kGroupColumns);
}

std::size_t QuadTable::row_groups() const {
  return static_cast<std::size_t>((columns.begin.back() + kGroupColumns - 1) / kGroupColumns);
}

std::vector<QuadTile> quad_tiles(const QuadTable& table, std::size_t rows) {
  std::vector<QuadTile> tiles;
  for (std::size_t row = 0; row < rows; row += kQuadTileRows) {
    std::size_t column = 0;
    for (std::size_t c = 0; c < table.classes.size(); ++c) {
      for (std::size_t left = table.groups(c); left > 0;) {
        const std::size_t groups = std::min(left, table.tile_groups);
        tiles.push_back({c, row, column, std::min(kQuadTileRows, rows - row), groups});
        column += groups * kGroupColumns;
        left -= groups;
      }
    }
  }
  return tiles;
}

void write_quad_table(const QuadTable& table, std::vector<std::uint8_t>& out) {
  out.push_back(static_cast<std::uint8_t>(table.tile_groups));
  out.push_back(static_cast<std::uint8_t>(table.classes.size()));
  for (const QuadClass& c : table.classes) {
    out.push_back(static_cast<std::uint8_t>(c.low_bits | (c.symbols - 1) << 4));
    out.push_back(static_cast<std::uint8_t>(c.base));
    out.push_back(static_cast<std::uint8_t>(c.gap_bits | c.delta_bits << 4));
    out.push_back(static_cast<std::uint8_t>(c.quads));
    out.push_back(static_cast<std::uint8_t>(c.quads >> 8));
    for (std::size_t s = 0; s < static_cast<std::size_t>(c.symbols); ++s) {
      out.push_back(static_cast<std::uint8_t>(c.frequency[s]));
      out.push_back(static_cast<std::uint8_t>(c.frequency[s] >> 8));
    }
  }
  BitWriter bits(out);
  write_column_classes(table.columns, bits);
}

QuadTable read_quad_table(std::span<const std::uint8_t> bytes, std::int64_t cols) {
  const auto take = [&](std::size_t count) {
    if (count > bytes.size()) fail("quad table: ends early");
    const auto part = bytes.first(count);
    bytes = bytes.subspan(count);
    return part;
  };
  QuadTable table;
  const auto head = take(2);
  table.tile_groups = head[0];
  const std::size_t classes = head[1];
  if (table.tile_groups < 1 || table.tile_groups > kQuadMaxTileGroups) {
    fail("quad table: tiles of {} groups, expected 1 to {}", table.tile_groups, kQuadMaxTileGroups);
  }
  if (classes < 1 || classes > kMaxColumnClasses) {
    fail("quad table: {} classes, expected 1 to {}", classes, kMaxColumnClasses);
  }
  for (std::size_t i = 0; i < classes; ++i) {
    QuadClass c = read_class(take(kClassBytes));
    const auto frequencies = take(2 * static_cast<std::size_t>(c.symbols));
    for (std::size_t s = 0; s < static_cast<std::size_t>(c.symbols); ++s) {
      const int frequency = frequencies[2 * s] | frequencies[2 * s + 1] << 8;
      if (frequency < 1 || frequency > kQuadMaxFrequency) {
        fail("quad table: a frequency of {}, expected 1 to {}", frequency, kQuadMaxFrequency);
      }
      c.frequency[s] = static_cast<std::uint16_t>(frequency);
    }
    table.classes.push_back(c);
  }
  BitReader map(bytes);
  table.columns = read_column_classes(cols, classes, map);
  take(map.finish());
  if (!map.ok()) fail("quad table: the padding of the column map is not zero");
  if (!bytes.empty()) fail("quad table: {} bytes behind it", bytes.size());
  return table;
}

}  // namespace twofold
