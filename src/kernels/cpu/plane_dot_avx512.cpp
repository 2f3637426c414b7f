#include "codec/plane_correction.h"
#include "codec/plane_loops_avx512.h"
#include "kernels/plane_dot.h"

namespace twofold {

namespace {

/// Sums of products with x: vpdpbusd multiplies unsigned by signed bytes.
struct DotSink {
  const std::int8_t* x;
  __m512i sum = _mm512_setzero_si512();

  explicit DotSink(const std::int8_t* activations) : x(activations) {}

  void add(__m512i values) {
    sum = _mm512_dpbusd_epi32(sum, values, _mm512_loadu_si512(x));
    x += kGroupColumns;
  }

  /// Signed weights as they are: w + 128 is w with its top bit turned.
  void add_raw(std::size_t groups, PlaneCursor& cursor) {
    const __m512i top = splat(-128);
    __m512i over = _mm512_setzero_si512();
    for (; groups > 0; --groups, x += kGroupColumns, cursor.plane += kGroupColumns) {
      const __m512i activations = _mm512_loadu_si512(x);
      sum = _mm512_dpbusd_epi32(sum, _mm512_xor_si512(_mm512_loadu_si512(cursor.plane), top), activations);
      over = _mm512_dpbusd_epi32(over, top, activations);
    }
    sum = _mm512_sub_epi32(sum, over);
  }
};

}  // namespace

std::int32_t plane_dot_avx512(const PlaneTable& table, PlaneCursor& cursor, const std::int8_t* x) {
  DotSink sink(x);
  for (std::size_t c = 0; c < table.classes.size(); ++c) {
    const PlaneClass& parameters = table.classes[c];
    const std::size_t groups = table.groups(c);
    if (parameters.raw()) {
      sink.add_raw(groups, cursor);
    } else {
      class_groups(parameters, groups, cursor, sink);
    }
  }
  std::int32_t sum = _mm512_reduce_add_epi32(sink.sum);
  correct_row(table, cursor, table.row_groups(),
              [&](std::uint64_t column, std::int32_t difference) { sum += difference * x[column]; });
  return sum;
}

}  // namespace twofold
