#pragma once

// INT8 products on 64-bit ARM, which multiplies signed by signed bytes: activations are packed as they are.
// V::add(sums, x, w) adds sixteen products to four sums.

#include <arm_neon.h>

#include "kernels/cpu/int8_blocks.h"

namespace twofold {
namespace {

template <typename V>
struct NeonInt8 {
  using Size = std::size_t;
  static constexpr Size kBytes = 16;

  static constexpr Size rows_of_tile(Size) { return 4; }  // with four tokens, sixteen sums in 32 registers

  struct Sum {
    void store(std::int8_t*) const {}
  };

  static void pack(const std::int8_t* from, std::int8_t* to, Sum&) { vst1q_s8(to, vld1q_s8(from)); }
  static void pack_part(const std::int8_t* from, Size count, std::int8_t* to, Sum&) {
    for (Size i = 0; i < kBytes; ++i) to[i] = i < count ? from[i] : std::int8_t{0};
  }

  void rows_begin(const Int8Product&, Size, Size) {}

  /// Not inlined, because among the variables of its callers it runs short of registers.
  template <Size Rows, Size Tokens>
  [[gnu::noinline]] static void tile(const Int8Product& p, const Int8Columns& columns, Size row,
                                     Size distance, Size token) {
    constexpr Size kStep = Tokens * kBytes;
    const Size row_stride = distance * p.cols;
    const std::int8_t* w = p.w + row * p.cols;
    const std::int8_t* x =
        p.packed + Int8Layout<kBytes>::group_offset(token, p.cols) + columns.first_step * kStep;
    int32x4_t sums[Rows * Tokens];
    unroll<Rows * Tokens>([&]<Size I>() TWOFOLD_INLINE_LAMBDA { sums[I] = vdupq_n_s32(0); });
    const auto add_products = [&]() TWOFOLD_INLINE_LAMBDA {
      int8x16_t weights[Rows];
      unroll<Rows>([&]<Size R>() TWOFOLD_INLINE_LAMBDA { weights[R] = vld1q_s8(w + R * row_stride); });
      unroll<Tokens>([&]<Size T>() TWOFOLD_INLINE_LAMBDA {
        const int8x16_t values = vld1q_s8(x + T * kBytes);
        unroll<Rows>([&]<Size R>() TWOFOLD_INLINE_LAMBDA {
          sums[R * Tokens + T] = V::add(sums[R * Tokens + T], values, weights[R]);
        });
      });
    };
    if (columns.rest) {
      add_products();
      x += kStep;
    }
    w += columns.begin;
    for (Size left = columns.steps; left != 0; --left, w += kBytes, x += kStep) add_products();
    unroll<Rows>([&]<Size R>() TWOFOLD_INLINE_LAMBDA {
      unroll<Tokens>([&]<Size T>() TWOFOLD_INLINE_LAMBDA {
        std::int32_t& out = p.out[(token + T) * p.out_stride + row + R * distance];
        out = vaddvq_s32(sums[R * Tokens + T]) + (columns.first_step == 0 ? 0 : out);
      });
    });
  }
};

}  // namespace
}  // namespace twofold
