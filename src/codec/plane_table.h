#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/cpu.h"
#include "codec/column_classes.h"

namespace twofold {

// The layout of the codecs `packed` and `tiered`; docs/codecs.md, "Planes". A weight is
//
//   values[symbol] + low bits + base (+ corrections)
//
// Its code in the plane, of fixed width, holds the low bits and the root of the symbol: a node of a prefix
// code whose longer code words go on in the level streams, one bit per level. What the class has no symbol
// for is coded as its nearest neighbour and set right by the list of corrections.

inline constexpr int kPlaneMaxLevels = 5;
inline constexpr std::size_t kPlaneMaxSymbols = 32;
inline constexpr int kPlaneRawBits = 8;        // this many low bits: the weights themselves
inline constexpr int kPlaneMaxSurvivors = 56;  // code words of a group of 64 that go on at a level

inline constexpr std::size_t kPlaneAlignment = 32;
inline constexpr std::size_t kPlaneSlack = 8;  // zeros behind a plane: streams are read in windows of 8 bytes

/// Place of a value from -128 to 127 in a table of 256.
inline std::size_t value_index(int value) {
  const int index = value + 128;
  return static_cast<std::size_t>(index);
}

inline constexpr std::uint64_t kPlaneNoCorrection = ~std::uint64_t{0};

/// A correction: columns since the last one (or the start), and what to add, signed. Several of one column
/// add up; zero is for gaps that are too long.
struct CorrectionFormat {
  int gap_bits;  // the low ones
  int delta_bits;
};
inline constexpr std::array<CorrectionFormat, 6> kCorrectionFormats{
    {{5, 3}, {7, 3}, {8, 4}, {10, 4}, {11, 5}, {8, 8}}};

/// How the columns of one class are coded.
struct PlaneClass {
  int low_bits = 0;   // stored as they are
  int root_bits = 0;  // low_bits + root_bits: 1-8
  int levels = 0;     // none: every symbol is a root
  int symbols = 1;
  int base = 0;
  /// Level j: symbols below leaves[j] are complete; another one, v, becomes v + step[j] if its bit is 1.
  /// step[j] is the number of those that go on.
  std::array<std::uint8_t, kPlaneMaxLevels> leaves{};
  std::array<std::uint8_t, kPlaneMaxLevels> step{};
  std::array<std::uint8_t, kPlaneMaxSymbols> values{};  // by symbol
  alignas(64) std::array<std::uint8_t, 128> by_code{};  // by symbol above low bits

  bool raw() const { return low_bits == kPlaneRawBits; }
  int low_count() const { return 1 << low_bits; }
  /// Symbol and low bits together fit 7 bits.
  int most_symbols() const { return std::min(static_cast<int>(kPlaneMaxSymbols), 128 >> low_bits); }
  int code_bits() const { return low_bits + root_bits; }
  /// Whether those that go on at level j > 0 are the ones whose bit before was 1.
  bool follows_bit(int j) const {
    const auto level = static_cast<std::size_t>(j);
    return leaves[level] == leaves[level - 1] + step[level - 1];
  }
  /// Whether all that went on at the level before level j > 0 go on again.
  bool follows_all(int j) const {
    const auto level = static_cast<std::size_t>(j);
    return leaves[level] == leaves[level - 1];
  }
  /// Whether those that go on at level 0 are the ones of the sub-plane of one bit, which is the highest.
  bool follows_plane() const { return code_bits() % 2 == 1 && 2 * leaves[0] == 1 << root_bits; }
  std::size_t group_bytes() const { return 8 * static_cast<std::size_t>(code_bits()); }
  /// Sets `step` and `symbols`, which follow from the rest. False when a level has more leaves than symbols,
  /// or there are more symbols than can be.
  bool finish_code();
  /// Sets by_code once the values are there.
  void finish_values();
  /// Largest value without base and corrections; at most 127 unless raw.
  int max_value() const;
};

/// How a matrix is coded: the codec's table in its usable form.
struct PlaneTable {
  ColumnClasses columns;
  std::vector<PlaneClass> classes;    // one for each of columns
  std::size_t correction_format = 0;  // in kCorrectionFormats

  CorrectionFormat corrections() const { return kCorrectionFormats[correction_format]; }
  int levels() const;                       // of the class that has most
  std::size_t groups(std::size_t c) const;  // groups of 64 columns of class c
  std::size_t row_groups() const;
  std::size_t row_bytes() const;  // of the plane
};

void write_plane_class(const PlaneClass& parameters, std::vector<std::uint8_t>& out);
void write_plane_table(const PlaneTable& table, std::vector<std::uint8_t>& out);

/// Reads hostile tables from the front of `bytes`, which is advanced; anything the kernels could not run on
/// is an Error.
PlaneTable read_plane_table(std::span<const std::uint8_t>& bytes, std::int64_t cols);

/// Where the decoding of a chunk stands. Kernels advance it group by group, all rows of a class before the
/// next class; the streams are laid out such that no chunk that `open_plane_chunk` accepts leads them outside
/// of it.
struct PlaneCursor {
  const std::uint8_t* plane = nullptr;
  std::array<const std::uint8_t*, kPlaneMaxLevels> level{};
  std::array<std::uint64_t, kPlaneMaxLevels> level_bit{};
  const std::uint8_t* corrections = nullptr;
  std::uint64_t corrections_left = 0;

  /// What lies behind the chunk, mostly the next one, to be fetched into L2 while this one is decoded: so
  /// many bytes for each group. Several slow streams at once are more than hardware prefetchers follow.
  const std::uint8_t* ahead = nullptr;
  std::size_t ahead_per_group = 0;

  // For the check at the end.
  std::array<std::uint64_t, kPlaneMaxLevels> level_bytes{};
};

/// Checks sizes against each other. `groups` is rows * table.row_groups().
PlaneCursor open_plane_chunk(const PlaneTable& table, std::uint64_t rows, std::uint64_t groups_per_row,
                             std::span<const std::uint8_t> coded);

/// Groups of a sequence that is coded as one row, by its size; an Error where it cannot be one. Needs a table
/// of one class.
std::uint64_t plane_sequence_groups(const PlaneTable& table, std::span<const std::uint8_t> coded);

/// Throws Error unless every stream has been used up exactly.
void check_plane_end(const PlaneTable& table, const PlaneCursor& cursor);

/// Appends one chunk of `rows` rows; `weights` in the order of the classes. A table of one class takes rows
/// of any length. Every instruction set writes the same bytes.
void write_plane_chunk(const PlaneTable& table, std::uint64_t rows, std::span<const std::int8_t> weights,
                       std::vector<std::uint8_t>& out, Isa isa = active_isa());

}  // namespace twofold
