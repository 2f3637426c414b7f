#pragma once

// Four floats in a NEON register; see vec_avx2.h.

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

namespace twofold {
namespace {

struct NeonFloats {
  using Reg = float32x4_t;
  static constexpr std::size_t kWidth = 4;
  static constexpr int kGemmRows = 12;  // 12 x 2 sums, 2 vectors of b and one of a: 27 of 32 registers

  static Reg zero() { return vdupq_n_f32(0.0F); }
  static Reg set(float value) { return vdupq_n_f32(value); }
  static Reg load(const float* p) { return vld1q_f32(p); }
  static void store(float* p, Reg v) { vst1q_f32(p, v); }

  static Reg load_part(const float* p, std::size_t n, Reg rest) {
    float part[kWidth];
    store(part, rest);
    for (std::size_t i = 0; i < n; ++i) part[i] = p[i];
    return load(part);
  }
  static void store_part(float* p, std::size_t n, Reg v) {
    float part[kWidth];
    store(part, v);
    for (std::size_t i = 0; i < n; ++i) p[i] = part[i];
  }

  static Reg add(Reg a, Reg b) { return vaddq_f32(a, b); }
  static Reg sub(Reg a, Reg b) { return vsubq_f32(a, b); }
  static Reg mul(Reg a, Reg b) { return vmulq_f32(a, b); }
  static Reg div(Reg a, Reg b) { return vdivq_f32(a, b); }
  static Reg fma(Reg a, Reg b, Reg c) { return vfmaq_f32(c, a, b); }
  static Reg fnma(Reg a, Reg b, Reg c) { return vfmsq_f32(c, a, b); }
  // fmax and fmin give NaN when either is NaN; b is asked for.
  static Reg max(Reg a, Reg b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
  static Reg min(Reg a, Reg b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
  static Reg abs(Reg a) { return vabsq_f32(a); }
  static Reg nan_to_zero(Reg a) {
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(a), vceqq_f32(a, a)));
  }
  static Reg round(Reg a) { return vrndnq_f32(a); }
  static Reg exp2_of_integer(Reg n) {
    const int32x4_t exponent = vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127));
    return vreinterpretq_f32_s32(vshlq_n_s32(exponent, 23));
  }

  static float reduce_add(Reg v) { return vaddvq_f32(v); }
  static float reduce_max(Reg v) { return vmaxvq_f32(v); }

  static constexpr std::size_t kTranspose = 4;
  static void transpose(const float* in, std::size_t in_stride, float* out, std::size_t out_stride) {
    const Reg rows[4] = {load(in), load(in + in_stride), load(in + 2 * in_stride), load(in + 3 * in_stride)};
    const Reg even01 = vtrn1q_f32(rows[0], rows[1]);  // elements 0 and 2 of both rows
    const Reg odd01 = vtrn2q_f32(rows[0], rows[1]);
    const Reg even23 = vtrn1q_f32(rows[2], rows[3]);
    const Reg odd23 = vtrn2q_f32(rows[2], rows[3]);
    store(out, vcombine_f32(vget_low_f32(even01), vget_low_f32(even23)));
    store(out + out_stride, vcombine_f32(vget_low_f32(odd01), vget_low_f32(odd23)));
    store(out + 2 * out_stride, vcombine_f32(vget_high_f32(even01), vget_high_f32(even23)));
    store(out + 3 * out_stride, vcombine_f32(vget_high_f32(odd01), vget_high_f32(odd23)));
  }

  static Reg from_bf16(const std::uint16_t* p) { return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16)); }
  static Reg from_f16(const std::uint16_t* p) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p))); }
  static void store_int8(std::int8_t* q, Reg v) {
    const int16x4_t words = vmovn_s32(vcvtnq_s32_f32(v));
    const int8x8_t bytes = vmovn_s16(vcombine_s16(words, words));
    const std::int32_t four = vget_lane_s32(vreinterpret_s32_s8(bytes), 0);
    __builtin_memcpy(q, &four, sizeof(four));
  }
};

}  // namespace
}  // namespace twofold
