#pragma once

// INT8 products by vpdpbusd, for any register type V. It multiplies unsigned by signed bytes, so activations
// are packed as x + 128 and 128 times the sum of a row's weights is taken off in the end; all modulo 2^32.

#include "kernels/cpu/int8_blocks.h"

namespace twofold {
namespace {

template <typename V>
struct VnniInt8 {
  using Reg = typename V::Reg;
  using Size = std::size_t;
  static constexpr Size kBytes = V::kBytes;

  static constexpr Size rows_of_tile(Size tokens) { return tokens < 3 ? 4 : V::kRows; }

  struct Sum {
    void store(std::int8_t*) const {}
  };

  static void pack(const std::int8_t* from, std::int8_t* to, Sum&) {
    V::store(to, V::flip_signs(V::load(from)));
  }
  static void pack_part(const std::int8_t* from, Size count, std::int8_t* to, Sum& sum) {
    std::int8_t part[kBytes] = {};
    for (Size i = 0; i < count; ++i) part[i] = from[i];
    pack(part, to, sum);
  }

  /// Rows x Tokens sums for rows that are `distance` apart; offsets[r] is taken off with the first columns.
  /// Not inlined, because among the variables of its callers it runs short of registers.
  template <Size Rows, Size Tokens>
  [[gnu::noinline]] static void accumulate(const Int8Product& p, const Int8Columns& columns, Size row,
                                           Size distance, Size token) {
    constexpr Size kStep = Tokens * kBytes;
    const Size row_stride = distance * p.cols;
    const std::int8_t* w = p.w + row * p.cols;
    const std::int8_t* x =
        p.packed + Int8Layout<kBytes>::group_offset(token, p.cols) + columns.first_step * kStep;
    Reg sums[Rows * Tokens];
    unroll<Rows * Tokens>([&]<Size I>() TWOFOLD_INLINE_LAMBDA { sums[I] = V::zero(); });
    const auto add_products = [&]() TWOFOLD_INLINE_LAMBDA {
      Reg weights[Rows];
      unroll<Rows>([&]<Size R>() TWOFOLD_INLINE_LAMBDA {
        __builtin_prefetch(w + R * row_stride + kAhead);
        weights[R] = V::load(w + R * row_stride);
      });
      unroll<Tokens>([&]<Size T>() TWOFOLD_INLINE_LAMBDA {
        const Reg values = V::load(x + T * kBytes);
        unroll<Rows>([&]<Size R>() TWOFOLD_INLINE_LAMBDA {
          sums[R * Tokens + T] = V::dot(sums[R * Tokens + T], values, weights[R]);
        });
      });
    };
    if (columns.rest) {
      add_products();
      x += kStep;
    }
    w += columns.begin;
    for (Size left = columns.steps; left != 0; --left, w += kBytes, x += kStep) add_products();

    alignas(16) std::int32_t totals[(Rows * Tokens + 3) / 4 * 4];
    unroll<(Rows * Tokens + 3) / 4>([&]<Size I>() TWOFOLD_INLINE_LAMBDA {
      const auto sum = [&]<Size J>() TWOFOLD_INLINE_LAMBDA {
        if constexpr (4 * I + J < Rows * Tokens)
          return sums[4 * I + J];
        else
          return V::zero();
      };
      V::store_sums(totals + 4 * I, sum.template operator()<0>(), sum.template operator()<1>(),
                    sum.template operator()<2>(), sum.template operator()<3>());
    });
    for (Size t = 0; t < Tokens; ++t) {
      for (Size r = 0; r < Rows; ++r) {
        std::int32_t& out = p.out[(token + t) * p.out_stride + row + r * distance];
        const auto total = static_cast<std::uint32_t>(totals[r * Tokens + t]);
        const auto before = static_cast<std::uint32_t>(columns.first_step == 0 ? 0 : out);
        out = static_cast<std::int32_t>(before + total);
      }
    }
  }

  /// 128 times the sum of a row's weights, those that the first two steps share counted twice, as they are in
  /// the products.
  static std::uint32_t offset(const std::int8_t* w, Size cols) {
    Reg sums[4] = {V::zero(), V::zero(), V::zero(), V::zero()};  // hide the latency
    const Reg factor = V::flip_signs(V::zero());
    Size c = cols % kBytes;
    if (c != 0) sums[0] = V::dot(sums[0], factor, V::load(w));
    for (; c + 4 * kBytes <= cols; c += 4 * kBytes) {
      unroll<4>([&]<Size I>() TWOFOLD_INLINE_LAMBDA {
        sums[I] = V::dot(sums[I], factor, V::load(w + c + I * kBytes));
      });
    }
    for (; c < cols; c += kBytes) sums[1] = V::dot(sums[1], factor, V::load(w + c));
    std::int32_t totals[4];
    V::store_sums(totals, sums[0], sums[1], sums[2], sums[3]);
    std::uint32_t result = 0;
    for (const std::int32_t total : totals) result += static_cast<std::uint32_t>(total);
    return result;
  }

  void rows_begin(const Int8Product& p, Size begin, Size end) {
    first_row = begin;
    for (Size row = begin; row < end && p.tokens > kTokenGroup; ++row)
      offsets[row - begin] = offset(p.w + row * p.cols, p.cols);
  }

  /// With few tokens the offsets come last, when the rows are in L1.
  template <Size Rows, Size Tokens>
  void tile(const Int8Product& p, const Int8Columns& columns, Size row, Size distance, Size token) const {
    accumulate<Rows, Tokens>(p, columns, row, distance, token);
    if (columns.first_step != 0) return;
    for (Size r = 0; r < Rows; ++r) {
      const Size at = row + r * distance;
      const std::uint32_t taken =
          p.tokens > kTokenGroup ? offsets[at - first_row] : offset(p.w + at * p.cols, p.cols);
      for (Size t = 0; t < Tokens; ++t) {
        std::int32_t& out = p.out[(token + t) * p.out_stride + at];
        out = static_cast<std::int32_t>(static_cast<std::uint32_t>(out) - taken);
      }
    }
  }

  Size first_row = 0;
  std::uint32_t offsets[kRowBlock] = {};
};

}  // namespace
}  // namespace twofold
