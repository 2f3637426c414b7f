#include "kernels/plane_dot.h"

#include "codec/plane_correction.h"
#include "codec/plane_rows.h"

namespace twofold {

std::int32_t plane_dot_scalar(const PlaneTable& table, PlaneCursor& cursor, const std::int8_t* x) {
  std::int32_t sum = 0;
  const std::int8_t* at = x;
  for (std::size_t c = 0; c < table.classes.size(); ++c) {
    const PlaneClass& parameters = table.classes[c];
    for (std::size_t g = table.groups(c); g > 0; --g) {
      std::int8_t weights[kGroupColumns];
      plane_rows_scalar().decode(parameters, 1, cursor, weights);
      for (const std::int8_t w : weights) sum += (w - parameters.base) * *at++;
    }
  }
  correct_row(table, cursor, table.row_groups(),
              [&](std::uint64_t column, std::int32_t difference) { sum += difference * x[column]; });
  return sum;
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

std::int64_t plane_base_sum(const PlaneTable& table, const std::int8_t* x) {
  std::int64_t sum = 0;
  for (std::size_t c = 0; c < table.classes.size(); ++c) {
    std::int64_t of_class = 0;
    const std::int8_t* end = x + table.groups(c) * kGroupColumns;
    for (; x < end; ++x) of_class += *x;
    sum += of_class * table.classes[c].base;
  }
  return sum;
}

}  // namespace twofold
