#include <cstdint>

#include "kernels/cpu/float_kernels.h"
#include "kernels/cpu/gemm_kernels.h"
#include "kernels/cpu/vec_avx2.h"
#include "kernels/ops.h"

namespace twofold {

namespace {

using Size = std::size_t;

__m256i load(const std::int8_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}

std::int32_t sum_of_lanes(__m256i v) {
  __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
}

/// Sets all bits of the last n < 32 bytes.
__m256i last_bytes(Size n) {
  alignas(32) static constexpr std::int8_t kMask[64] = {
      0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
      0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
      -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
  return load(kMask + n);
}

struct Int8Product {
  const std::int8_t* w;
  const std::int8_t* x;
  std::int32_t* out;
  Size rows, cols, tokens, x_stride, out_stride;
};

/// The columns [begin, end) that one pass over the rows takes; cols >= 32. visit(i, masked) is called for
/// every vector of 32 columns. A rest comes first (GCC keeps sums in registers only when nothing follows the
/// loop), as the vector that ends with the columns; masked(x) clears what the others visit again.
struct Columns {
  Size begin, end;

  template <typename Visit>
  void for_each(const Visit& visit) const {
    const Size rest = (end - begin) % 32;
    if (rest != 0) {
      const __m256i mask = last_bytes(rest);
      visit(end - 32, [mask](__m256i x) { return _mm256_and_si256(x, mask); });
    }
    for (Size i = begin; i + 32 <= end; i += 32) visit(i, [](__m256i x) { return x; });
  }
};

// GCC keeps arrays of sums in memory when it unrolls the loops over them late.
#define TWOFOLD_UNROLL _Pragma("GCC unroll 16")

constexpr Size kTokens = 4;           // per tile: with two rows, eight sums stay in registers
constexpr Size kRows = 2;             // per tile of kTokens
constexpr Size kColumnBlock = 4096;   // so that kTokens of a block stay in L1
constexpr Size kRowBlock = 64;        // so that the weights of a block stay in L2
constexpr int kSmall = 64;            // weights up to this size multiply faster
constexpr Size kTokensForSmall = 32;  // as soon as it pays to look for them

// vpmaddubsw multiplies unsigned by signed bytes and adds pairs in 16 bits, saturating. Two ways to stay
// exact:

/// |w| times x with the sign of w: 2 * 127 * 127 < 2^15.
struct AnyWeights {
  static __m256i unsigned_side(__m256i w) { return _mm256_abs_epi8(w); }
  static __m256i signed_side(__m256i w, __m256i x) { return _mm256_sign_epi8(x, w); }
};

/// w + 64 times x, less 64 times the sum of x in the end, when |w| <= 64: 2 * 128 * 127 < 2^15.
struct SmallWeights {
  static __m256i unsigned_side(__m256i w) { return _mm256_add_epi8(w, _mm256_set1_epi8(kSmall)); }
  static __m256i signed_side(__m256i, __m256i x) { return x; }
};

/// Rows x Tokens sums, for the rows row, row + distance, and so on; offsets[t] is taken off each. Not
/// inlined, because among the variables of its callers it runs short of registers.
template <typename Weights, Size Rows, Size Tokens>
[[gnu::noinline]] void tile(const Int8Product& p, Size row, Size distance, Size token, const Columns& columns,
                            const std::int32_t* offsets) {
  const std::int8_t* w = p.w + row * p.cols;
  const std::int8_t* x = p.x + token * p.x_stride;
  __m256i sums[Rows * Tokens];
  TWOFOLD_UNROLL for (Size i = 0; i < Rows * Tokens; ++i) sums[i] = _mm256_setzero_si256();
  const __m256i ones = _mm256_set1_epi16(1);
  columns.for_each([&](Size i, auto masked) {
    __m256i weights[Rows];
    __m256i bytes[Rows];
    TWOFOLD_UNROLL for (Size r = 0; r < Rows; ++r) {
      weights[r] = load(w + r * distance * p.cols + i);
      bytes[r] = Weights::unsigned_side(weights[r]);
    }
    TWOFOLD_UNROLL for (Size t = 0; t < Tokens; ++t) {
      const __m256i values = masked(load(x + t * p.x_stride + i));
      TWOFOLD_UNROLL for (Size r = 0; r < Rows; ++r) {
        const __m256i pairs = _mm256_maddubs_epi16(bytes[r], Weights::signed_side(weights[r], values));
        sums[r * Tokens + t] = _mm256_add_epi32(sums[r * Tokens + t], _mm256_madd_epi16(pairs, ones));
      }
    }
  });
  TWOFOLD_UNROLL for (Size r = 0; r < Rows; ++r) {
    TWOFOLD_UNROLL for (Size t = 0; t < Tokens; ++t) {
      std::int32_t& out = p.out[(token + t) * p.out_stride + row + r * distance];
      out = sum_of_lanes(sums[r * Tokens + t]) - offsets[t] + (columns.begin > 0 ? out : 0);
    }
  }
}

bool small_weights(const Int8Product& p, Size row, const Columns& columns) {
  __m256i max = _mm256_setzero_si256();
  columns.for_each([&](Size i, auto) {
    for (Size r = 0; r < kRows; ++r)
      max = _mm256_max_epu8(max, _mm256_abs_epi8(load(p.w + (row + r) * p.cols + i)));
  });
  const __m256i limit = _mm256_set1_epi8(kSmall);
  return _mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_max_epu8(max, limit), limit)) == -1;
}

std::int32_t sum_of_bytes(const std::int8_t* x, const Columns& columns) {
  __m256i sum = _mm256_setzero_si256();
  columns.for_each([&](Size i, auto masked) {
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), masked(load(x + i)));
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  });
  return sum_of_lanes(sum);
}

/// The rows [begin, end) for Tokens tokens; small[i] tells of rows begin + 2 i and the next.
template <Size Tokens>
void tiles(const Int8Product& p, Size token, const Columns& columns, Size begin, Size end,
           const bool* small) {
  constexpr std::int32_t kNone[Tokens] = {};
  std::int32_t offsets[Tokens];
  for (Size t = 0; t < Tokens; ++t) {
    offsets[t] =
        p.tokens < kTokensForSmall ? 0 : kSmall * sum_of_bytes(p.x + (token + t) * p.x_stride, columns);
  }
  Size row = begin;
  for (; row + kRows <= end; row += kRows) {
    if (small[(row - begin) / kRows]) {
      tile<SmallWeights, kRows, Tokens>(p, row, 1, token, columns, offsets);
    } else {
      tile<AnyWeights, kRows, Tokens>(p, row, 1, token, columns, kNone);
    }
  }
  if (row < end) tile<AnyWeights, 1, Tokens>(p, row, 1, token, columns, kNone);
}

/// The same for the last tokens, fewer than Tokens.
template <Size Tokens>
void last_tiles(const Int8Product& p, Size token, const Columns& columns, Size begin, Size end,
                const bool* small) {
  if constexpr (Tokens > 1) {
    if (p.tokens - token == Tokens - 1) return tiles<Tokens - 1>(p, token, columns, begin, end, small);
    last_tiles<Tokens - 1>(p, token, columns, begin, end, small);
  }
}

void many_tokens(const Int8Product& p) {
  for (Size column = 0; column < p.cols; column += kColumnBlock) {
    const Columns columns{column, p.cols - column < kColumnBlock ? p.cols : column + kColumnBlock};
    for (Size begin = 0; begin < p.rows; begin += kRowBlock) {
      const Size end = p.rows - begin < kRowBlock ? p.rows : begin + kRowBlock;
      bool small[kRowBlock / kRows] = {};
      for (Size row = begin; p.tokens >= kTokensForSmall && row + kRows <= end; row += kRows) {
        small[(row - begin) / kRows] = small_weights(p, row, columns);
      }
      Size t = 0;
      for (; t + kTokens <= p.tokens; t += kTokens) tiles<kTokens>(p, t, columns, begin, end, small);
      last_tiles<kTokens>(p, t, columns, begin, end, small);
    }
  }
}

/// Bound by memory. The rows in flight are far apart, each the head of a long stream of its own: four streams
/// read a third faster than one, four neighbouring rows half as fast, because prefetchers follow addresses
/// that rise steadily.
template <Size Tokens>
void few_tokens(const Int8Product& p) {
  constexpr std::int32_t kNone[Tokens] = {};
  constexpr Size kStreams = Tokens < 3 ? 4 : 2;
  const Columns columns{0, p.cols};
  const Size rows = p.rows / kStreams;
  for (Size row = 0; row < rows; ++row) tile<AnyWeights, kStreams, Tokens>(p, row, rows, 0, columns, kNone);
  for (Size row = rows * kStreams; row < p.rows; ++row)
    tile<AnyWeights, 1, Tokens>(p, row, 1, 0, columns, kNone);
}

void matmul_i8(const std::int8_t* w, Size rows, Size cols, const std::int8_t* x, Size tokens, Size x_stride,
               std::int32_t* out, Size out_stride) {
  if (cols < 32) return scalar_ops().matmul_i8(w, rows, cols, x, tokens, x_stride, out, out_stride);
  const Int8Product p{w, x, out, rows, cols, tokens, x_stride, out_stride};
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

const Ops& avx2_ops() {
  using Float = FloatKernels<Avx2Floats>;
  using Products = GemmKernels<Avx2Floats>;
  static const Ops table = {
      .isa = Isa::kAvx2,
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
