#include <algorithm>

#include "codec/plane_loops_avx512.h"
#include "kernels/cpu/correct_dots_x86.h"
#include "kernels/plane_dot.h"

namespace twofold {

namespace {

/// Sums of products with x: vpdpbusd multiplies unsigned by signed bytes.
struct DotSink {
  const std::int8_t* begin_of_x;
  std::size_t width;  // columns of the class
  std::int32_t* sums;
  const std::int8_t* x = begin_of_x;
  __m512i sum = _mm512_setzero_si512();
  __m512i more = _mm512_setzero_si512();

  void add(__m512i values) {
    sum = _mm512_dpbusd_epi32(sum, values, _mm512_loadu_si512(x));
    x += kGroupColumns;
  }
  void add_more(__m512i values) {
    more = _mm512_dpbusd_epi32(more, values, _mm512_loadu_si512(x));
    x += kGroupColumns;
  }
  void next_row() {
    *sums++ += _mm512_reduce_add_epi32(_mm512_add_epi32(sum, more));
    sum = more = _mm512_setzero_si512();
    x = begin_of_x;
  }

  /// Signed weights as they are: w + 128 is w with its top bit turned.
  void add_raw(std::size_t rows, PlaneCursor& cursor) {
    const __m512i top = splat(-128);
    for (; rows > 0; --rows, next_row()) {
      __m512i over = _mm512_setzero_si512();
      for (; x < begin_of_x + width; x += kGroupColumns, cursor.plane += kGroupColumns) {
        const __m512i activations = _mm512_loadu_si512(x);
        sum = _mm512_dpbusd_epi32(sum, _mm512_xor_si512(_mm512_loadu_si512(cursor.plane), top), activations);
        over = _mm512_dpbusd_epi32(over, top, activations);
      }
      sum = _mm512_sub_epi32(sum, over);
    }
  }
};

}  // namespace

void plane_dot_avx512(const PlaneTable& table, PlaneCursor& cursor, std::size_t rows, const std::int8_t* x,
                      std::int32_t* sums) {
  prefetch_streams(table, cursor);
  std::fill_n(sums, rows, 0);
  const std::int8_t* begin = x;
  for (std::size_t c = 0; c < table.classes.size(); ++c) {
    const PlaneClass& parameters = table.classes[c];
    const std::size_t groups = table.groups(c);
    DotSink sink{begin, groups * kGroupColumns, sums};
    if (parameters.raw()) {
      sink.add_raw(rows, cursor);
    } else {
      class_groups(parameters, rows, groups, cursor, sink);
    }
    begin += groups * kGroupColumns;
  }
  correct_dots_x86(table, cursor, rows, x, sums);
}

}  // namespace twofold
