#include <cstdint>

#include "kernels/cpu/float_kernels.h"
#include "kernels/cpu/gemm_kernels.h"
#include "kernels/cpu/vec_avx512.h"
#include "kernels/ops.h"

namespace twofold {

namespace {

using Size = std::size_t;

__m512i load(const std::int8_t* p) {
  return _mm512_loadu_si512(p);
}

struct Int8Product {
  const std::int8_t* w;
  const std::int8_t* x;
  std::int32_t* out;
  Size rows, cols, tokens, x_stride, out_stride;
};

/// The columns [begin, end) that one pass over the rows takes. visit(i, load) is called for every vector of
/// 64 columns; load(p) reads zero for those beyond the end. The rest comes first, as in ops_avx2.cpp.
struct Columns {
  Size begin, end;

  template <typename Visit>
  void for_each(const Visit& visit) const {
    const Size rest = (end - begin) % 64;
    if (rest != 0) {
      const __mmask64 mask = (std::uint64_t{1} << rest) - 1;
      visit(end - rest, [mask](const std::int8_t* p) { return _mm512_maskz_loadu_epi8(mask, p); });
    }
    for (Size i = begin; i + 64 <= end; i += 64) visit(i, load);
  }
};

// GCC keeps arrays of sums in memory when it unrolls the loops over them late.
#define TWOFOLD_UNROLL _Pragma("GCC unroll 16")

constexpr Size kTokens = 4;          // per tile: with four rows, sixteen sums stay in registers
constexpr Size kRows = 4;            // per tile
constexpr Size kColumnBlock = 4096;  // so that kTokens of a block stay in L1
constexpr Size kRowBlock = 128;      // so that the weights of a block stay in L2

/// Rows x Tokens sums, for the rows row, row + distance, and so on. vpdpbusd multiplies unsigned by signed
/// bytes: it gets w + 128, and offsets[t], 128 times the sum of x, is taken off in the end. All modulo 2^32.
template <Size Rows, Size Tokens>
[[gnu::noinline]] void tile(const Int8Product& p, Size row, Size distance, Size token, const Columns& columns,
                            const std::uint32_t* offsets) {
  const std::int8_t* w = p.w + row * p.cols;
  const std::int8_t* x = p.x + token * p.x_stride;
  __m512i sums[Rows * Tokens];
  TWOFOLD_UNROLL for (Size i = 0; i < Rows * Tokens; ++i) sums[i] = _mm512_setzero_si512();
  const __m512i sign_bits = _mm512_set1_epi8(-128);
  columns.for_each([&](Size i, auto load_at) {
    __m512i weights[Rows];
    TWOFOLD_UNROLL for (Size r = 0; r < Rows; ++r) {
      weights[r] = _mm512_xor_si512(load_at(w + r * distance * p.cols + i), sign_bits);
    }
    TWOFOLD_UNROLL for (Size t = 0; t < Tokens; ++t) {
      const __m512i values = load_at(x + t * p.x_stride + i);
      TWOFOLD_UNROLL for (Size r = 0; r < Rows; ++r) {
        sums[r * Tokens + t] = _mm512_dpbusd_epi32(sums[r * Tokens + t], weights[r], values);
      }
    }
  });
  TWOFOLD_UNROLL for (Size r = 0; r < Rows; ++r) {
    TWOFOLD_UNROLL for (Size t = 0; t < Tokens; ++t) {
      std::int32_t& out = p.out[(token + t) * p.out_stride + row + r * distance];
      const auto sum = static_cast<std::uint32_t>(_mm512_reduce_add_epi32(sums[r * Tokens + t])) - offsets[t];
      out = static_cast<std::int32_t>(sum) + (columns.begin > 0 ? out : 0);
    }
  }
}

std::uint32_t offset(const std::int8_t* x, const Columns& columns) {
  __m512i sum = _mm512_setzero_si512();
  columns.for_each(
      [&](Size i, auto load_at) { sum = _mm512_dpbusd_epi32(sum, _mm512_set1_epi8(1), load_at(x + i)); });
  return 128 * static_cast<std::uint32_t>(_mm512_reduce_add_epi32(sum));
}

template <Size Tokens>
void tiles(const Int8Product& p, Size token, const Columns& columns, Size begin, Size end) {
  std::uint32_t offsets[Tokens];
  for (Size t = 0; t < Tokens; ++t) offsets[t] = offset(p.x + (token + t) * p.x_stride, columns);
  Size row = begin;
  for (; row + kRows <= end; row += kRows) tile<kRows, Tokens>(p, row, 1, token, columns, offsets);
  for (; row < end; ++row) tile<1, Tokens>(p, row, 1, token, columns, offsets);
}

/// The same for the last tokens, fewer than Tokens.
template <Size Tokens>
void last_tiles(const Int8Product& p, Size token, const Columns& columns, Size begin, Size end) {
  if constexpr (Tokens > 1) {
    if (p.tokens - token == Tokens - 1) return tiles<Tokens - 1>(p, token, columns, begin, end);
    last_tiles<Tokens - 1>(p, token, columns, begin, end);
  }
}

void many_tokens(const Int8Product& p) {
  for (Size column = 0; column < p.cols; column += kColumnBlock) {
    const Columns columns{column, p.cols - column < kColumnBlock ? p.cols : column + kColumnBlock};
    for (Size begin = 0; begin < p.rows; begin += kRowBlock) {
      const Size end = p.rows - begin < kRowBlock ? p.rows : begin + kRowBlock;
      Size t = 0;
      for (; t + kTokens <= p.tokens; t += kTokens) tiles<kTokens>(p, t, columns, begin, end);
      last_tiles<kTokens>(p, t, columns, begin, end);
    }
  }
}

/// Bound by memory: four long streams, far apart; see ops_avx2.cpp.
template <Size Tokens>
void few_tokens(const Int8Product& p) {
  const Columns columns{0, p.cols};
  std::uint32_t offsets[Tokens];
  for (Size t = 0; t < Tokens; ++t) offsets[t] = offset(p.x + t * p.x_stride, columns);
  const Size rows = p.rows / kRows;
  for (Size row = 0; row < rows; ++row) tile<kRows, Tokens>(p, row, rows, 0, columns, offsets);
  for (Size row = rows * kRows; row < p.rows; ++row) tile<1, Tokens>(p, row, 1, 0, columns, offsets);
}

void clear(const Int8Product& p) {
  for (Size t = 0; t < p.tokens; ++t) {
    for (Size r = 0; r < p.rows; ++r) p.out[t * p.out_stride + r] = 0;
  }
}

void matmul_i8(const std::int8_t* w, Size rows, Size cols, const std::int8_t* x, Size tokens, Size x_stride,
               std::int32_t* out, Size out_stride) {
  const Int8Product p{w, x, out, rows, cols, tokens, x_stride, out_stride};
  if (cols == 0) return clear(p);
  switch (tokens) {
    case 0:
      return;
    case 1:
      return few_tokens<1>(p);
    case 2:
      return few_tokens<2>(p);
    case 3:
      return few_tokens<3>(p);
    default:
      return many_tokens(p);
  }
}

}  // namespace

const Ops& avx512_ops() {
  using Float = FloatKernels<Avx512Floats>;
  using Products = GemmKernels<Avx512Floats>;
  static const Ops table = {
      .isa = Isa::kAvx512,
      .dot = Float::dot,
      .axpy = Float::axpy,
      .rms_norm = Float::rms_norm,
      .gemm_nt = Products::gemm_nt,
      .gemm_nn = Products::gemm_nn,
      .softmax = Float::softmax,
      .softmax_part = Float::softmax_part,
      .swiglu = Float::swiglu,
      .rope = Float::rope,
      .bf16_to_float = Float::bf16_to_float,
      .f16_to_float = Float::f16_to_float,
      .abs_max = Float::abs_max,
      .quantize = Float::quantize,
      .matmul_i8 = matmul_i8,
  };
  return table;
}

}  // namespace twofold
