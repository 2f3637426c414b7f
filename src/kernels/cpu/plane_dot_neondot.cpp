#include "kernels/cpu/plane_dot_neon.h"

namespace twofold {

namespace {

/// Four products in each sum of 32 bits; several sums, because each waits for the last addition to it.
struct DotProducts {
  int32x4_t a = vdupq_n_s32(0);
  int32x4_t b = vdupq_n_s32(0);
  int32x4_t c = vdupq_n_s32(0);
  int32x4_t d = vdupq_n_s32(0);

  static std::size_t groups_per_sum(int) { return std::numeric_limits<std::size_t>::max(); }

  void begin() {}
  void add(const SignedQuad& w, const SignedQuad& x) {
    a = vdotq_s32(a, w.a, x.a);
    b = vdotq_s32(b, w.b, x.b);
    c = vdotq_s32(c, w.c, x.c);
    d = vdotq_s32(d, w.d, x.d);
  }
  void end() {}
  std::int32_t take() {
    const std::int32_t result = vaddvq_s32(vaddq_s32(vaddq_s32(a, b), vaddq_s32(c, d)));
    a = b = c = d = vdupq_n_s32(0);
    return result;
  }
};

}  // namespace

void plane_dot_neondot(const PlaneTable& table, PlaneCursor& cursor, std::size_t rows, const std::int8_t* x,
                       std::int32_t* sums) {
  plane_dot_neon_with<DotProducts>(table, cursor, rows, x, sums);
}

}  // namespace twofold
