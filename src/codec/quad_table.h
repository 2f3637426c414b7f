#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "codec/column_classes.h"

namespace twofold {

// The layout of the codec `quad`, docs/quad.md: the high parts of four weights at once are one code word of
// at most 12 bits, so that one look-up yields four weights; their low bits lie in planes of fixed width.

inline constexpr int kQuadCodeBits = 12;  // of the longest code word
inline constexpr std::size_t kQuadSlots = std::size_t{1} << kQuadCodeBits;
inline constexpr int kQuadMaxSymbols = 8;
inline constexpr int kQuadMaxLowBits = 5;
inline constexpr int kQuadMaxFrequency = 4095;
inline constexpr int kQuadMaxGapBits = 11;
inline constexpr int kQuadMinDeltaBits = 2;
inline constexpr int kQuadMaxDeltaBits = 9;
inline constexpr int kQuadLongDeltaBits = 9;  // the difference of any two weights

inline constexpr std::size_t kQuadTileRows = 16;
inline constexpr std::size_t kQuadMaxTileGroups = 32;  // a lane has at most 1024 weights
inline constexpr std::size_t kQuadLanes = 32;

/// How the columns of one class are coded. A weight is base + symbol * 2^low_bits + low bits + correction.
struct QuadClass {
  int low_bits = 0;    // 0-5
  int symbols = 1;     // 1-8; base + symbols * 2^low_bits <= 128
  int base = 0;        // -128 ... 127
  int gap_bits = 1;    // of the corrections, 1-11
  int delta_bits = 2;  // 2-9
  int quads = 1;       // with a code word, 1 ... symbols^4: those of the highest products of frequencies
  std::array<std::uint16_t, kQuadMaxSymbols> frequency{};  // of each symbol, 1-4095

  int quad_count() const { return symbols * symbols * symbols * symbols; }
};

/// How a matrix is coded: the codec's table.
struct QuadTable {
  ColumnClasses columns;
  std::vector<QuadClass> classes;  // one for each of columns
  std::size_t tile_groups = 1;     // groups of 64 columns in a tile, 1-32

  std::size_t groups(std::size_t c) const;  // of class c
  std::size_t row_groups() const;
};

void write_quad_table(const QuadTable& table, std::vector<std::uint8_t>& out);

/// Reads a hostile table, which is not empty.
QuadTable read_quad_table(std::span<const std::uint8_t> bytes, std::int64_t cols);

/// Appends one chunk of `rows` rows, `weights` in the order of the classes.
void write_quad_chunk(const QuadTable& table, std::size_t rows, std::span<const std::int8_t> weights,
                      std::vector<std::uint8_t>& out);

/// A tile: up to 16 rows of up to 32 groups of columns of one class.
struct QuadTile {
  std::size_t c;            // the class
  std::size_t row, column;  // in the chunk; the column in the order of the classes
  std::size_t rows, groups;

  std::size_t lanes() const { return 4 * (rows < 8 ? rows : 8); }
};

/// The tiles of a chunk in their order: 16 rows after 16 rows, class after class, from left to right.
std::vector<QuadTile> quad_tiles(const QuadTable& table, std::size_t rows);

}  // namespace twofold
