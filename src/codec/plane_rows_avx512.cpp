#include "codec/plane_loops_avx512.h"
#include "codec/plane_rows.h"

namespace twofold {

namespace {

/// Stores values plus base.
struct StoreSink {
  std::int8_t* out;
  std::size_t gap;  // between the end of a row and the next row
  __m512i base;

  void add(__m512i values) {
    _mm512_storeu_si512(out, _mm512_add_epi8(values, base));
    out += kGroupColumns;
  }
  void add_more(__m512i values) { add(values); }
  void next_row() { out += gap; }
};

void decode(const PlaneClass& parameters, std::size_t rows, std::size_t groups, PlaneCursor& cursor,
            std::int8_t* out, std::size_t stride) {
  const std::size_t width = groups * kGroupColumns;
  if (parameters.raw()) {
    for (std::size_t row = 0; row < rows; ++row, cursor.plane += width) {
      std::memcpy(out + row * stride, cursor.plane, width);
    }
    return;
  }
  StoreSink sink{out, stride - width, splat(parameters.base)};
  class_groups(parameters, rows, groups, cursor, sink);
}

void spread(const std::uint8_t* mask, const std::int8_t* nonzero, std::size_t count, std::int8_t* out) {
  for (std::size_t i = 0; i < count; i += kGroupColumns, mask += 8) {
    const std::uint64_t bits = load64(mask);
    _mm512_storeu_si512(out + i, _mm512_maskz_expand_epi8(bits, _mm512_loadu_si512(nonzero)));
    nonzero += std::popcount(bits);
  }
}

}  // namespace

const PlaneRows& plane_rows_avx512() {
  static const PlaneRows table = {.decode = decode, .spread = spread};
  return table;
}

}  // namespace twofold
