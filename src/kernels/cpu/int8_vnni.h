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
  static constexpr Size kRows = V::kRows;

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
  [[gnu::noinline]] static void tile(const Int8Product& p, const Int8Columns& columns, Size row,
                                     Size distance, Size token, const std::uint32_t* offsets) {
    constexpr Size kStep = Tokens * kBytes;
    const Size row_stride = distance * p.cols;
    const std::int8_t* w = p.w + row * p.cols;
    const std::int8_t* x =
        p.packed + Int8Layout<kBytes>::group_offset(token, p.cols) + columns.first_step * kStep;
    Reg sums[Rows * Tokens];
    TWOFOLD_UNROLL for (Size i = 0; i < Rows * Tokens; ++i) sums[i] = V::zero();
    const auto add_products = [&]() __attribute__((always_inline)) {
      Reg weights[Rows];
      TWOFOLD_UNROLL for (Size r = 0; r < Rows; ++r) weights[r] = V::load(w + r * row_stride);
      TWOFOLD_UNROLL for (Size t = 0; t < Tokens; ++t) {
        const Reg values = V::load(x + t * kBytes);
        TWOFOLD_UNROLL for (Size r = 0; r < Rows; ++r) sums[r * Tokens + t] =
            V::dot(sums[r * Tokens + t], values, weights[r]);
      }
    };
    if (columns.rest) {
      add_products();
      x += kStep;
    }
    w += columns.begin;
    for (Size left = columns.steps; left != 0; --left, w += kBytes, x += kStep) add_products();

    alignas(16) std::int32_t totals[(Rows * Tokens + 3) / 4 * 4];
    TWOFOLD_UNROLL for (Size i = 0; i < Rows * Tokens; i += 4) {
      const auto sum = [&](Size j) { return i + j < Rows * Tokens ? sums[i + j] : V::zero(); };
      V::store_sums(totals + i, sum(0), sum(1), sum(2), sum(3));
    }
    for (Size t = 0; t < Tokens; ++t) {
      for (Size r = 0; r < Rows; ++r) {
        std::int32_t& out = p.out[(token + t) * p.out_stride + row + r * distance];
        const auto total = static_cast<std::uint32_t>(totals[r * Tokens + t]);
        out = static_cast<std::int32_t>(columns.first_step == 0 ? total - offsets[r]
                                                                : total + static_cast<std::uint32_t>(out));
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
      TWOFOLD_UNROLL for (Size i = 0; i < 4; ++i) sums[i] =
          V::dot(sums[i], factor, V::load(w + c + i * kBytes));
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
    for (Size row = begin; row < end; ++row) offsets[row - begin] = offset(p.w + row * p.cols, p.cols);
  }
  template <Size Rows, Size Tokens>
  void tile(const Int8Product& p, const Int8Columns& columns, Size row, Size token) const {
    tile<Rows, Tokens>(p, columns, row, 1, token, offsets + (row - first_row));
  }

  template <Size Tokens>
  static constexpr Size streams() {
    return Tokens < 3 ? 4 : V::kRows;
  }
  /// The offsets come last, when the rows are in L1.
  template <Size Rows, Size Tokens>
  static void stream(const Int8Product& p, const Int8Columns& columns, Size row, Size distance) {
    constexpr std::uint32_t kNone[Rows] = {};
    tile<Rows, Tokens>(p, columns, row, distance, 0, kNone);
    for (Size r = 0; r < Rows; ++r) {
      const std::uint32_t taken = offset(p.w + (row + r * distance) * p.cols, p.cols);
      for (Size t = 0; t < Tokens; ++t) {
        std::int32_t& out = p.out[t * p.out_stride + row + r * distance];
        out = static_cast<std::int32_t>(static_cast<std::uint32_t>(out) - taken);
      }
    }
  }

  Size first_row = 0;
  std::uint32_t offsets[kRowBlock] = {};
};

}  // namespace
}  // namespace twofold
