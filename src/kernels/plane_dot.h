#pragma once

#include <algorithm>
#include <span>

#include "base/cpu.h"
#include "codec/plane_table.h"

namespace twofold {

/// Products straight from the coded weights of the plane codecs, one function per instruction set, all with
/// the same result: the `rows` rows of a chunk times x, less what the bases contribute:
///
///   sums[row] = sum over columns of (w - base of its class) x
///
/// x has 64 * table.row_groups() activations in the order of the classes, zeros where there is no column,
/// none of them -128. A raw class has base 0.
using PlaneDot = void (*)(const PlaneTable& table, PlaneCursor& cursor, std::size_t rows,
                          const std::int8_t* x, std::int32_t* sums);

void plane_dot_scalar(const PlaneTable& table, PlaneCursor& cursor, std::size_t rows, const std::int8_t* x,
                      std::int32_t* sums);
void plane_dot_avx2(const PlaneTable& table, PlaneCursor& cursor, std::size_t rows, const std::int8_t* x,
                    std::int32_t* sums);
void plane_dot_avx2vnni(const PlaneTable& table, PlaneCursor& cursor, std::size_t rows, const std::int8_t* x,
                        std::int32_t* sums);
void plane_dot_avx512(const PlaneTable& table, PlaneCursor& cursor, std::size_t rows, const std::int8_t* x,
                      std::int32_t* sums);
void plane_dot_neon(const PlaneTable& table, PlaneCursor& cursor, std::size_t rows, const std::int8_t* x,
                    std::int32_t* sums);
void plane_dot_neondot(const PlaneTable& table, PlaneCursor& cursor, std::size_t rows, const std::int8_t* x,
                       std::int32_t* sums);

/// The function for an instruction set that this CPU runs.
PlaneDot plane_dot(Isa isa);

/// Begins to fetch what a chunk's loops need before they have read far enough to have it fetched: the list of
/// corrections, and the beginning of each level.
inline void prefetch_streams(const PlaneTable& table, const PlaneCursor& cursor) {
  constexpr std::uint64_t kLine = 64;
  const CorrectionFormat format = table.corrections();
  const std::uint64_t bytes =
      cursor.corrections_left * static_cast<std::uint64_t>(format.gap_bits + format.delta_bits) / 8;
  for (std::uint64_t i = 0; i < std::min<std::uint64_t>(bytes, 64 * kLine); i += kLine) {
    __builtin_prefetch(cursor.corrections + i);
  }
  for (std::size_t j = 0; j < static_cast<std::size_t>(table.levels()); ++j) {
    for (std::uint64_t i = 0; i < std::min<std::uint64_t>(cursor.level_bytes[j], 8 * kLine); i += kLine) {
      __builtin_prefetch(cursor.level[j] + i);
    }
  }
}

/// Adds what a chunk's corrections contribute; each function above does so last.
void correct_dots(const PlaneTable& table, PlaneCursor& cursor, std::size_t rows, const std::int8_t* x,
                  std::int32_t* sums);

/// Sums of each group of 64 activations; `sums` has one for each group of x.
void sum_groups(std::span<const std::int8_t> x, std::span<std::int32_t> sums);

/// What the bases contribute to every row: sum over columns of base(column) x, from the sums of x's groups.
std::int32_t plane_base_sum(const PlaneTable& table, std::span<const std::int32_t> group_sums);

}  // namespace twofold
