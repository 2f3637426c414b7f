#pragma once

// How the INT8 products of all vector sets go through the caches. Tokens are packed by groups of kTokenGroup,
// the last group having what is left, so that a tile reads one stream of activations: for every step of
// kBytes columns one vector of each token of the group. When cols is no multiple of kBytes, the first step
// has the rest: its vectors begin at column 0 but count only up to the rest, and the other steps follow from
// there, so that no load of weights passes the end of a row. Internal linkage for the reason given in
// vec_avx2.h.

#include <cstddef>
#include <cstdint>

#include "kernels/ops.h"

namespace twofold {
namespace {

#define TWOFOLD_INLINE [[gnu::always_inline]]
#define TWOFOLD_INLINE_LAMBDA __attribute__((always_inline))

/// visit.operator()<i>() for every i < n. A loop would do, but GCC keeps arrays of sums in memory when their
/// indexes become constants late.
template <std::size_t N, std::size_t I = 0, typename Visit>
TWOFOLD_INLINE inline void unroll(const Visit& visit) {
  if constexpr (I < N) {
    visit.template operator()<I>();
    unroll<N, I + 1>(visit);
  }
}

constexpr std::size_t kTokenGroup = 4;
constexpr std::size_t kAhead = 1024;   // bytes of a row to ask for: prefetchers do not cross pages
constexpr std::size_t kRowBlock = 64;  // their weights of a block of columns stay in L2
static_assert(kPackedTokens % kTokenGroup == 0);

struct Int8Product {
  const std::int8_t* w;
  const std::int8_t* packed;
  std::int32_t* out;
  std::size_t rows, cols, tokens, out_stride;
};

/// A range of columns: a step of the rest first, where `rest` is set, then `steps` whole ones.
struct Int8Columns {
  std::size_t first_step;  // of the group of tokens
  std::size_t begin;       // column of the first whole step
  std::size_t steps;
  bool rest;
};

template <std::size_t Bytes>
struct Int8Layout {
  std::size_t rest, steps;  // the rest's step included

  explicit Int8Layout(std::size_t cols) : rest(cols % Bytes), steps((cols + Bytes - 1) / Bytes) {}

  static std::size_t group_size(std::size_t tokens, std::size_t token) {
    return tokens - token < kTokenGroup ? tokens - token : kTokenGroup;
  }
  static std::size_t group_offset(std::size_t token, std::size_t cols) { return packed_i8_size(token, cols); }

  /// visit(columns) for every block of at most `block` columns; once when there are none.
  template <typename Visit>
  void for_each_block(std::size_t block, const Visit& visit) const {
    const std::size_t partial = rest == 0 ? 0 : 1;
    std::size_t step = partial;
    do {
      const std::size_t left = steps - step;
      const std::size_t count = left < block / Bytes ? left : block / Bytes;
      const bool with_rest = step == partial && rest != 0;
      visit(Int8Columns{with_rest ? 0 : step, rest + (step - partial) * Bytes, count, with_rest});
      step += count;
    } while (step < steps);
  }
};

/// Kernel: kBytes per vector, rows_of_tile(tokens), and
///   rows_begin(product, begin, end): called before the tiles of these rows;
///   tile<Rows, Tokens>(product, columns, row, distance, token): Rows x Tokens sums, for rows `distance`
///   apart,
///     added to `out` but for the first columns;
///   pack(from, to, sum), pack_part(from, count, to, sum): one vector of activations, of which the first
///     `count` count, and what the group keeps of each token's sum.
template <typename Kernel>
struct Int8Blocks {
  using Size = std::size_t;
  using Layout = Int8Layout<Kernel::kBytes>;
  static constexpr Size kColumnBlock = 4096;  // so that a group of tokens stays in L1

  /// The rows in flight are far apart, each the head of a long stream of its own: four streams read a third
  /// faster than one, four neighbouring rows half as fast, because prefetchers follow addresses that rise
  /// steadily.
  template <Size Rows, Size Tokens>
  static void tiles(const Kernel& kernel, const Int8Product& p, const Int8Columns& columns, Size begin,
                    Size end, Size token) {
    Size distance = (end - begin) / Rows;
    if (Rows > 2 && distance > 0 && (end - begin) % Rows == 1) --distance;  // one row uses registers badly
    for (Size row = begin; row < begin + distance; ++row)
      kernel.template tile<Rows, Tokens>(p, columns, row, distance, token);
    if constexpr (Rows > 1) {
      const Size rest = begin + Rows * distance;
      if (rest < end) tiles<Rows - 1, Tokens>(kernel, p, columns, rest, end, token);
    }
  }

  template <Size Tokens>
  static void token_group(const Kernel& kernel, const Int8Product& p, const Int8Columns& columns, Size begin,
                          Size end, Size token) {
    if constexpr (Tokens > 1) {
      if (p.tokens - token < Tokens) return token_group<Tokens - 1>(kernel, p, columns, begin, end, token);
    }
    tiles<Kernel::rows_of_tile(Tokens), Tokens>(kernel, p, columns, begin, end, token);
  }

  static void multiply(const Int8Product& p) {
    if (p.tokens == 0) return;  // `out` may be null then
    if (p.cols < Kernel::kBytes) return short_rows(p);
    multiply_rows(p);
  }

  static void multiply_rows(const Int8Product& p) {
    Kernel kernel;
    for (Size begin = 0; begin < p.rows; begin += kRowBlock) {
      const Size end = p.rows - begin < kRowBlock ? p.rows : begin + kRowBlock;
      kernel.rows_begin(p, begin, end);
      Layout(p.cols).for_each_block(p.tokens <= kTokenGroup ? 4 * kColumnBlock : kColumnBlock,
                                    [&](const Int8Columns& columns) {
                                      for (Size token = 0; token < p.tokens; token += kTokenGroup)
                                        token_group<kTokenGroup>(kernel, p, columns, begin, end, token);
                                    });
    }
  }

  /// Rows shorter than a vector, each copied to where a vector can be read.
  static void short_rows(const Int8Product& p) {
    for (Size row = 0; row < p.rows; ++row) {
      alignas(64) std::int8_t bytes[Kernel::kBytes] = {};
      for (Size c = 0; c < p.cols; ++c) bytes[c] = p.w[row * p.cols + c];
      multiply_rows({bytes, p.packed, p.out + row, 1, p.cols, p.tokens, p.out_stride});
    }
  }

  static void pack(const std::int8_t* x, Size x_stride, Size cols, Size tokens, Size begin, Size end,
                   std::int8_t* packed) {
    const Layout layout(cols);
    for (Size token = begin; token < end; token += kTokenGroup) {
      const Size group = Layout::group_size(tokens, token);
      std::int8_t* out = packed + Layout::group_offset(token, cols);
      for (Size t = 0; t < group; ++t) {
        const std::int8_t* in = x + (token + t) * x_stride;
        std::int8_t* to = out + t * Kernel::kBytes;
        typename Kernel::Sum sum;
        if (layout.rest != 0) Kernel::pack_part(in, layout.rest, to, sum);
        for (Size c = layout.rest; c + Kernel::kBytes <= cols; c += Kernel::kBytes) {
          Kernel::pack(in + c, to + (c + Kernel::kBytes - 1) / Kernel::kBytes * group * Kernel::kBytes, sum);
        }
        sum.store(out + layout.steps * group * Kernel::kBytes + t * sizeof(std::int32_t));
      }
    }
  }
};

}  // namespace
}  // namespace twofold
