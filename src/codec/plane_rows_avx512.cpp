#include "codec/plane_loops_avx512.h"
#include "codec/plane_rows.h"

namespace twofold {

namespace {

/// Stores values plus base.
struct StoreSink {
  std::int8_t* out;
  __m512i base;

  void add(__m512i values) {
    _mm512_storeu_si512(out, _mm512_add_epi8(values, base));
    out += kGroupColumns;
  }
};

void decode(const PlaneClass& parameters, std::size_t groups, PlaneCursor& cursor, std::int8_t* out) {
  if (parameters.raw()) {
    std::memcpy(out, cursor.plane, groups * kGroupColumns);
    cursor.plane += groups * kGroupColumns;
    return;
  }
  StoreSink sink{out, splat(parameters.base)};
  class_groups(parameters, groups, cursor, sink);
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
