#pragma once

// Products from coded weights on 64-bit ARM. Products holds the sums of a row: begin() and end() around
// add(w, x) for 64 weights and as many activations, of at most groups_per_sum(largest weight) groups;
// take() gives the row's sum and starts the next one.

#include <algorithm>

#include "codec/plane_loops_neon.h"
#include "kernels/plane_dot.h"

namespace twofold {
namespace {

/// Signed bytes of a group.
struct SignedQuad {
  int8x16_t a, b, c, d;

  explicit SignedQuad(const Quad& q)
      : a(vreinterpretq_s8_u8(q.a)),
        b(vreinterpretq_s8_u8(q.b)),
        c(vreinterpretq_s8_u8(q.c)),
        d(vreinterpretq_s8_u8(q.d)) {}
  explicit SignedQuad(const std::int8_t* p)
      : a(vld1q_s8(p)), b(vld1q_s8(p + 16)), c(vld1q_s8(p + 32)), d(vld1q_s8(p + 48)) {}
};

template <typename Products>
struct DotSink {
  const std::int8_t* begin_of_x;
  std::int32_t* sums;
  const std::int8_t* x = begin_of_x;
  Products products{};

  static std::size_t groups_per_sum(int max_value) { return Products::groups_per_sum(max_value); }

  void begin() { products.begin(); }
  void add(const Quad& values) {
    products.add(SignedQuad(values), SignedQuad(x));
    x += kGroupColumns;
  }
  void end() { products.end(); }
  void next_row() {
    *sums++ += products.take();
    x = begin_of_x;
  }
};

/// Signed weights as they are. Two products of at most 128 * 127 still fit 16 bits.
template <typename Products>
inline void raw_groups(std::size_t rows, std::size_t groups, PlaneCursor& cursor, DotSink<Products>& sink) {
  const std::uint8_t* plane = cursor.plane;
  DotSink<Products> local = sink;
  for (; rows > 0; --rows, local.next_row()) {
    for (std::size_t g = 0; g < groups; ++g, plane += kGroupColumns) {
      local.begin();
      local.add(load_quad(plane));
      local.end();
    }
  }
  cursor.plane = plane;
}

template <typename Products>
inline void plane_dot_neon_with(const PlaneTable& table, PlaneCursor& cursor, std::size_t rows,
                                const std::int8_t* x, std::int32_t* sums) {
  std::fill_n(sums, rows, 0);
  const std::int8_t* begin = x;
  for (std::size_t c = 0; c < table.classes.size(); ++c) {
    const PlaneClass& parameters = table.classes[c];
    const std::size_t groups = table.groups(c);
    DotSink<Products> sink{begin, sums};
    if (parameters.raw()) {
      raw_groups(rows, groups, cursor, sink);
    } else {
      class_groups(parameters, rows, groups, cursor, sink);
    }
    begin += groups * kGroupColumns;
  }
  correct_dots(table, cursor, rows, x, sums);
}

}  // namespace
}  // namespace twofold
