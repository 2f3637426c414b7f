#pragma once

// Float matrix products for any register type V. b is copied, a block at a time, into panels of two
// registers' width; a tile of kGemmRows rows of a by one panel then stays in registers over a whole block of
// k (Goto and van de Geijn, "Anatomy of high-performance matrix multiplication", 2008). Every element is
// summed in the same order wherever its tile lies. Internal linkage for the reason given in vec_avx2.h.

#include <cstddef>

#include "kernels/ops.h"

namespace twofold {
namespace {

template <typename V>
struct GemmKernels {
  using Reg = typename V::Reg;
  using Size = std::size_t;
  static constexpr Size kWidth = V::kWidth;
  static constexpr Size kPanel = 2 * kWidth;  // columns of c per tile
  static constexpr int kRows = V::kGemmRows;  // rows of c per tile
  static constexpr Size kDepth = 256;         // of one block of k
  static constexpr Size kColumns = 64;        // of c per packed block of b: 64 KiB, which stay in L2
  static_assert(kColumns % kPanel == 0);

  /// c (+)= a b for `Rows` rows of a, a panel of b (b_stride elements from one k to the next) and the first
  /// n <= kPanel columns.
  template <int Rows>
  static void tile(const float* a, Size a_stride, const float* b, Size b_stride, Size k, float* c,
                   Size c_stride, Size n, bool add) {
    Reg sums[Rows][2];
    for (auto& row : sums) row[0] = row[1] = V::zero();
    for (Size i = 0; i < k; ++i) {
      const Reg b0 = V::load(b + i * b_stride);
      const Reg b1 = V::load(b + i * b_stride + kWidth);
      for (Size r = 0; r < Rows; ++r) {
        const Reg factor = V::set(a[r * a_stride + i]);
        sums[r][0] = V::fma(factor, b0, sums[r][0]);
        sums[r][1] = V::fma(factor, b1, sums[r][1]);
      }
    }
    for (Size r = 0; r < Rows; ++r) {
      float* out = c + r * c_stride;
      for (Size half = 0; half < 2; ++half, out += kWidth) {
        const Size begin = half * kWidth;
        const Size count = n <= begin ? 0 : n - begin;
        if (count >= kWidth) {
          V::store(out, add ? V::add(V::load(out), sums[r][half]) : sums[r][half]);
        } else if (count > 0) {
          const Reg sum = sums[r][half];
          V::store_part(out, count, add ? V::add(V::load_part(out, count, V::zero()), sum) : sum);
        }
      }
    }
  }

  /// The same for m <= Rows rows.
  template <int Rows>
  static void tile_rows(Size m, const float* a, Size a_stride, const float* b, Size b_stride, Size k,
                        float* c, Size c_stride, Size n, bool add) {
    if constexpr (Rows > 1) {
      if (m < Rows) return tile_rows<Rows - 1>(m, a, a_stride, b, b_stride, k, c, c_stride, n, add);
    }
    tile<Rows>(a, a_stride, b, b_stride, k, c, c_stride, n, add);
  }

  /// panel[i * kPanel + j] = b[j * stride + i] for i < k, j < n; zero for n <= j < kPanel.
  static void pack_rows(const float* b, Size stride, Size n, Size k, float* panel) {
    Size j = 0;
    for (; j + V::kTranspose <= n; j += V::kTranspose) {
      Size i = 0;
      for (; i + V::kTranspose <= k; i += V::kTranspose) {
        V::transpose(b + j * stride + i, stride, panel + i * kPanel + j, kPanel);
      }
      for (; i < k; ++i) {
        for (Size x = j; x < j + V::kTranspose; ++x) panel[i * kPanel + x] = b[x * stride + i];
      }
    }
    for (; j < kPanel; ++j) {
      for (Size i = 0; i < k; ++i) panel[i * kPanel + j] = j < n ? b[j * stride + i] : 0.0F;
    }
  }

  /// panel[i * kPanel + j] = b[i * stride + j] for i < k, j < n; zero for n <= j < kPanel.
  static void pack_columns(const float* b, Size stride, Size n, Size k, float* panel) {
    for (Size i = 0; i < k; ++i, panel += kPanel, b += stride) {
      for (Size j = 0; j < kPanel; ++j) panel[j] = j < n ? b[j] : 0.0F;
    }
  }

  static void clear(const Gemm& p) {
    for (Size r = 0; r < p.m; ++r) {
      for (Size j = 0; j < p.n; ++j) p.c[r * p.c_stride + j] = 0.0F;
    }
  }

  /// `Transposed`: b is [n, k].
  template <bool Transposed>
  static void multiply(const Gemm& p) {
    if (p.k == 0 && !p.add) return clear(p);
    alignas(64) float packed[kDepth * kColumns];
    for (Size begin = 0; begin < p.n; begin += kColumns) {
      const Size columns = p.n - begin < kColumns ? p.n - begin : kColumns;
      for (Size depth = 0; depth < p.k; depth += kDepth) {
        const Size k = p.k - depth < kDepth ? p.k - depth : kDepth;
        const bool add = p.add || depth > 0;
        for (Size j = 0; j < columns; j += kPanel) {
          const Size n = columns - j < kPanel ? columns - j : kPanel;
          float* panel = packed + j * kDepth;
          if constexpr (Transposed) {
            pack_rows(p.b + (begin + j) * p.b_stride + depth, p.b_stride, n, k, panel);
          } else {
            pack_columns(p.b + depth * p.b_stride + begin + j, p.b_stride, n, k, panel);
          }
        }
        for (Size r = 0; r < p.m; r += kRows) {
          const Size rows = p.m - r < kRows ? p.m - r : kRows;
          for (Size j = 0; j < columns; j += kPanel) {
            const Size n = columns - j < kPanel ? columns - j : kPanel;
            tile_rows<kRows>(rows, p.a + r * p.a_stride + depth, p.a_stride, packed + j * kDepth, kPanel, k,
                             p.c + r * p.c_stride + begin + j, p.c_stride, n, add);
          }
        }
      }
    }
  }

  /// The sums of the elements of four vectors, in the same order for each.
  static void reduce(Reg a, Reg b, Reg c, Reg d, float* out) {
    if constexpr (requires { V::reduce_add(a, b, c, d, out); }) {
      V::reduce_add(a, b, c, d, out);
    } else {
      out[0] = V::reduce_add(a);
      out[1] = V::reduce_add(b);
      out[2] = V::reduce_add(c);
      out[3] = V::reduce_add(d);
    }
  }

  /// c (+)= a b' for `Rows` rows of a and `Columns` <= 4 rows of b: dot products, without packing.
  template <int Rows, int Columns>
  static void dots(const float* a, Size a_stride, const float* b, Size b_stride, Size k, float* c,
                   Size c_stride, bool add) {
    Reg sums[Rows][4];
    for (auto& row : sums) {
      for (Reg& sum : row) sum = V::zero();
    }
    const auto step = [&](auto load) {
      Reg columns[Columns];
      for (Size j = 0; j < Columns; ++j) columns[j] = load(b + j * b_stride);
      for (Size r = 0; r < Rows; ++r) {
        const Reg row = load(a + r * a_stride);
        for (Size j = 0; j < Columns; ++j) sums[r][j] = V::fma(row, columns[j], sums[r][j]);
      }
    };
    const Size rest = k % kWidth;  // first, because GCC spills the sums when anything follows the loop
    if (rest != 0) step([&](const float* p) { return V::load_part(p, rest, V::zero()); });
    for (Size i = rest; i < k; i += kWidth) step([&](const float* p) { return V::load(p + i); });
    for (Size r = 0; r < Rows; ++r) {
      float totals[4];
      reduce(sums[r][0], sums[r][1], sums[r][2], sums[r][3], totals);
      float* out = c + r * c_stride;
      for (Size j = 0; j < Columns; ++j) out[j] = totals[j] + (add ? out[j] : 0.0F);
    }
  }

  /// `Columns` columns of c from `column` on: rows of a by up to `Rows`.
  template <int Rows, int Columns>
  static void dot_columns(const Gemm& p, Size row, Size column) {
    for (; row + Rows <= p.m; row += Rows) {
      dots<Rows, Columns>(p.a + row * p.a_stride, p.a_stride, p.b + column * p.b_stride, p.b_stride, p.k,
                          p.c + row * p.c_stride + column, p.c_stride, p.add);
    }
    if constexpr (Rows > 1) {
      if (row < p.m) dot_columns<Rows - 1, Columns>(p, row, column);
    }
  }

  static void gemm_nt(const Gemm& p) {
    if (p.m == 0 || p.n == 0) return;
    if (p.m > kFewRows) return multiply<true>(p);
    constexpr int kDotRows = kRows / 2;  // by four: the sums stay in registers
    Size j = 0;
    for (; j + 4 <= p.n; j += 4) dot_columns<kDotRows, 4>(p, 0, j);
    for (; j < p.n; ++j) dot_columns<kDotRows, 1>(p, 0, j);
  }

  /// c (+)= a b for the rows of a in parts of nearly the same size.
  static void tile_parts(const Gemm& p, Size depth, Size k, const float* b, Size b_stride, Size j, Size n) {
    const Size parts = (p.m + kRows - 1) / kRows;
    const Size part = (p.m + parts - 1) / parts;
    for (Size r = 0; r < p.m; r += part) {
      tile_rows<kRows>(p.m - r < part ? p.m - r : part, p.a + r * p.a_stride + depth, p.a_stride, b, b_stride,
                       k, p.c + r * p.c_stride + j, p.c_stride, n, p.add || depth > 0);
    }
  }

  /// So few rows that copying b costs more than it saves.
  static void multiply_in_place(const Gemm& p) {
    if (p.k == 0 && !p.add) return clear(p);
    for (Size depth = 0; depth < p.k; depth += kDepth) {
      const Size k = p.k - depth < kDepth ? p.k - depth : kDepth;
      const float* b = p.b + depth * p.b_stride;
      Size j = 0;
      for (; j + kPanel <= p.n; j += kPanel) tile_parts(p, depth, k, b + j, p.b_stride, j, kPanel);
      if (j == p.n) continue;
      alignas(64) float panel[kDepth * kPanel];
      pack_columns(b + j, p.b_stride, p.n - j, k, panel);
      tile_parts(p, depth, k, panel, kPanel, j, p.n - j);
    }
  }

  static void gemm_nn(const Gemm& p) {
    if (p.m == 0 || p.n == 0) return;
    if (p.m <= kFewRows) return multiply_in_place(p);
    multiply<false>(p);
  }
};

}  // namespace
}  // namespace twofold
