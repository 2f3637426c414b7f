#include "kernels/plane_dot.h"

#include <algorithm>

#include "codec/plane_correction.h"
#include "codec/plane_rows.h"

namespace twofold {

namespace {

/// Adds corrections to the products of rows.
struct CorrectedSums {
  const std::int8_t* x;
  std::int32_t* sums;
  std::int32_t sum = 0;

  void add(std::uint64_t column, std::int32_t difference) { sum += difference * x[column]; }
  void next_row() {
    *sums++ += sum;
    sum = 0;
  }
};

}  // namespace

void correct_dots(const PlaneTable& table, PlaneCursor& cursor, std::size_t rows, const std::int8_t* x,
                  std::int32_t* sums) {
  CorrectedSums corrected{x, sums};
  correct_rows(table, cursor, rows, table.row_groups(), corrected);
}

void plane_dot_scalar(const PlaneTable& table, PlaneCursor& cursor, std::size_t rows, const std::int8_t* x,
                      std::int32_t* sums) {
  std::fill_n(sums, rows, 0);
  const std::int8_t* begin = x;
  for (std::size_t c = 0; c < table.classes.size(); ++c) {
    const PlaneClass& parameters = table.classes[c];
    const std::size_t groups = table.groups(c);
    for (std::size_t row = 0; row < rows; ++row) {
      for (std::size_t g = 0; g < groups; ++g) {
        std::int8_t weights[kGroupColumns];
        plane_rows_scalar().decode(parameters, 1, 1, cursor, weights, kGroupColumns);
        for (std::size_t i = 0; i < kGroupColumns; ++i) {
          sums[row] += (weights[i] - parameters.base) * begin[g * kGroupColumns + i];
        }
      }
    }
    begin += groups * kGroupColumns;
  }
  correct_dots(table, cursor, rows, x, sums);
}

PlaneDot plane_dot([[maybe_unused]] Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::kAvx512) return plane_dot_avx512;
  if (isa == Isa::kAvx2Vnni) return plane_dot_avx2vnni;
  if (isa == Isa::kAvx2) return plane_dot_avx2;
#elif defined(__aarch64__)
  if (isa == Isa::kNeonDot) return plane_dot_neondot;
  if (isa == Isa::kNeon) return plane_dot_neon;
#endif
  return plane_dot_scalar;
}

void sum_groups(std::span<const std::int8_t> x, std::span<std::int32_t> sums) {
  for (std::size_t g = 0; g < sums.size(); ++g) {
    std::int32_t sum = 0;
    for (const std::int8_t a : x.subspan(g * kGroupColumns, kGroupColumns)) sum += a;
    sums[g] = sum;
  }
}

std::int32_t plane_base_sum(const PlaneTable& table, std::span<const std::int32_t> group_sums) {
  std::int32_t sum = 0;
  std::size_t g = 0;
  for (std::size_t c = 0; c < table.classes.size(); ++c) {
    for (std::size_t end = g + table.groups(c); g < end; ++g) sum += table.classes[c].base * group_sums[g];
  }
  return sum;
}

}  // namespace twofold
