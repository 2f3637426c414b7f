#include "kernels/cpu/plane_dot_neon.h"

namespace twofold {

namespace {

/// Sums in 16 bits, two products in each per group, then pairs of these in 32.
struct WideningProducts {
  int32x4_t sum = vdupq_n_s32(0);
  int16x8_t a = vdupq_n_s16(0);
  int16x8_t b = vdupq_n_s16(0);
  int16x8_t c = vdupq_n_s16(0);
  int16x8_t d = vdupq_n_s16(0);

  static std::size_t groups_per_sum(int max_value) { return groups_in_16_bits(max_value); }

  static int16x8_t add(int16x8_t sums, int8x16_t w, int8x16_t x) {
    return vmlal_high_s8(vmlal_s8(sums, vget_low_s8(w), vget_low_s8(x)), w, x);
  }

  void begin() { a = b = c = d = vdupq_n_s16(0); }
  void add(const SignedQuad& w, const SignedQuad& x) {
    a = add(a, w.a, x.a);
    b = add(b, w.b, x.b);
    c = add(c, w.c, x.c);
    d = add(d, w.d, x.d);
  }
  void end() { sum = vpadalq_s16(vpadalq_s16(vpadalq_s16(vpadalq_s16(sum, a), b), c), d); }
  std::int32_t take() {
    const std::int32_t result = vaddvq_s32(sum);
    sum = vdupq_n_s32(0);
    return result;
  }
};

}  // namespace

void plane_dot_neon(const PlaneTable& table, PlaneCursor& cursor, std::size_t rows, const std::int8_t* x,
                    std::int32_t* sums) {
  plane_dot_neon_with<WideningProducts>(table, cursor, rows, x, sums);
}

}  // namespace twofold
