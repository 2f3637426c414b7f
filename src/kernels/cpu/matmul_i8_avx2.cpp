#include "base/simd_x86.h"
#include "kernels/cpu/int8_blocks.h"
#include "kernels/cpu/matmul_i8.h"

namespace twofold {

namespace {

using Size = std::size_t;

__m256i load(const std::int8_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}

/// The sums of the lanes of each of four vectors.
__m128i sums_of_lanes(__m256i a, __m256i b, __m256i c, __m256i d) {
  const __m256i halves = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
  return _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
}

// vpmaddubsw multiplies unsigned by signed bytes and adds pairs in 16 bits, saturating. Ways to stay exact:

/// |w| times x with the sign of w: 2 * 127 * 127 < 2^15.
struct AnyWeights {
  static constexpr std::int32_t kLimit = 0;
  static constexpr Size kSteps = 1;  // whose products are added in 16 bits
  static __m256i unsigned_side(__m256i w) { return _mm256_abs_epi8(w); }
  static __m256i signed_side(__m256i w, __m256i x) { return _mm256_sign_epi8(x, w); }
};

/// w + Limit times x, less Limit times the sum of x in the end, when |w| <= Limit: 2 * 2 * 64 * 127 < 2^15.
template <std::int32_t Limit>
struct SmallWeights {
  static constexpr std::int32_t kLimit = Limit;
  static constexpr Size kSteps = 64 / Limit;
  static __m256i unsigned_side(__m256i w) { return _mm256_add_epi8(w, _mm256_set1_epi8(Limit)); }
  static __m256i signed_side(__m256i, __m256i x) { return x; }
};

/// Adds the products of Steps steps: w is the first row's, x the group's of tokens.
template <typename Weights, Size Steps, Size Rows, Size Tokens>
[[gnu::always_inline]] inline void add_products(const std::int8_t* w, Size row_stride, const std::int8_t* x,
                                                __m256i (&sums)[Rows * Tokens]) {
  __m256i weights[Rows * Steps];
  __m256i bytes[Rows * Steps];
  TWOFOLD_UNROLL for (Size r = 0; r < Rows; ++r) {
    TWOFOLD_UNROLL for (Size s = 0; s < Steps; ++s) {
      weights[r * Steps + s] = load(w + r * row_stride + s * 32);
      bytes[r * Steps + s] = Weights::unsigned_side(weights[r * Steps + s]);
    }
  }
  TWOFOLD_UNROLL for (Size t = 0; t < Tokens; ++t) {
    TWOFOLD_UNROLL for (Size r = 0; r < Rows; ++r) {
      __m256i pairs = _mm256_setzero_si256();
      TWOFOLD_UNROLL for (Size s = 0; s < Steps; ++s) {
        const __m256i values = load(x + (s * Tokens + t) * 32);
        const __m256i products =
            _mm256_maddubs_epi16(bytes[r * Steps + s], Weights::signed_side(weights[r * Steps + s], values));
        pairs = s == 0 ? products : _mm256_add_epi16(pairs, products);
      }
      const __m256i wide = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
      sums[r * Tokens + t] = _mm256_add_epi32(sums[r * Tokens + t], wide);
    }
  }
}

/// Rows x Tokens sums for rows that are `distance` apart. Not inlined, because among the variables of its
/// callers it runs short of registers.
template <typename Weights, Size Rows, Size Tokens>
[[gnu::noinline]] void tile(const Int8Product& p, const Int8Columns& columns, Size row, Size distance,
                            Size token) {
  constexpr Size kStep = Tokens * 32;
  const Size row_stride = distance * p.cols;
  const std::int8_t* group = p.packed + Int8Layout<32>::group_offset(token, p.cols);
  const std::int8_t* w = p.w + row * p.cols;
  const std::int8_t* x = group + columns.first_step * kStep;
  __m256i sums[Rows * Tokens];
  TWOFOLD_UNROLL for (Size i = 0; i < Rows * Tokens; ++i) sums[i] = _mm256_setzero_si256();
  if (columns.rest) {
    add_products<Weights, 1, Rows, Tokens>(w, row_stride, x, sums);
    x += kStep;
  }
  w += columns.begin;
  Size left = columns.steps;
  for (; left % Weights::kSteps != 0; --left, w += 32, x += kStep)
    add_products<Weights, 1, Rows, Tokens>(w, row_stride, x, sums);
  for (; left != 0; left -= Weights::kSteps, w += Weights::kSteps * 32, x += Weights::kSteps * kStep)
    add_products<Weights, Weights::kSteps, Rows, Tokens>(w, row_stride, x, sums);

  alignas(16) std::int32_t totals[(Rows * Tokens + 3) / 4 * 4];
  const __m256i none = _mm256_setzero_si256();
  TWOFOLD_UNROLL for (Size i = 0; i < Rows * Tokens; i += 4) {
    const auto sum = [&](Size j) { return i + j < Rows * Tokens ? sums[i + j] : none; };
    _mm_store_si128(reinterpret_cast<__m128i*>(totals + i), sums_of_lanes(sum(0), sum(1), sum(2), sum(3)));
  }
  const std::int8_t* sums_of_x = group + Int8Layout<32>(p.cols).steps * kStep;
  for (Size t = 0; t < Tokens; ++t) {
    std::int32_t offset = 0;
    if (Weights::kLimit != 0 && columns.first_step == 0) {
      __builtin_memcpy(&offset, sums_of_x + t * sizeof(offset), sizeof(offset));
    }
    for (Size r = 0; r < Rows; ++r) {
      std::int32_t& out = p.out[(token + t) * p.out_stride + row + r * distance];
      const auto before = static_cast<std::uint32_t>(columns.first_step == 0 ? 0 : out);
      const auto total = static_cast<std::uint32_t>(totals[r * Tokens + t]);
      out = static_cast<std::int32_t>(
          before + total - static_cast<std::uint32_t>(Weights::kLimit) * static_cast<std::uint32_t>(offset));
    }
  }
}

struct Avx2Int8 {
  static constexpr Size kBytes = 32;
  static constexpr Size kRows = 2;              // with four tokens, eight sums stay in registers
  static constexpr Size kTokensForLimits = 16;  // as soon as it pays to look at the weights

  struct Sum {
    __m256i lanes = _mm256_setzero_si256();
    void add(__m256i x) {
      const __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), x);
      lanes = _mm256_add_epi32(lanes, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    }
    void store(std::int8_t* p) const {
      const std::int32_t sum = _mm_cvtsi128_si32(sums_of_lanes(lanes, lanes, lanes, lanes));
      __builtin_memcpy(p, &sum, sizeof(sum));
    }
  };

  static void pack(const std::int8_t* from, std::int8_t* to, Sum& sum) {
    const __m256i x = load(from);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), x);
    sum.add(x);
  }
  static void pack_part(const std::int8_t* from, Size count, std::int8_t* to, Sum& sum) {
    std::int8_t part[kBytes] = {};
    for (Size i = 0; i < count; ++i) part[i] = from[i];
    pack(part, to, sum);
  }

  /// Which of the ways each pair of rows allows.
  void rows_begin(const Int8Product& p, Size begin, Size end) {
    first_row = begin;
    for (Size row = begin; row < end; row += kRows) {
      const Size rows = end - row < kRows ? 1 : kRows;
      std::int32_t& limit = limits[(row - begin) / kRows];
      limit = p.tokens < kTokensForLimits ? 127 : largest(p.w + row * p.cols, rows * p.cols);
    }
  }

  /// The largest |w| of at least 32.
  static std::int32_t largest(const std::int8_t* w, Size n) {
    __m256i max = _mm256_abs_epi8(load(w));
    for (Size i = n % 32; i < n; i += 32) max = _mm256_max_epu8(max, _mm256_abs_epi8(load(w + i)));
    alignas(32) std::uint8_t bytes[32];
    _mm256_store_si256(reinterpret_cast<__m256i*>(bytes), max);
    std::int32_t result = 0;
    for (const std::uint8_t byte : bytes) result = byte > result ? byte : result;
    return result;
  }

  template <Size Rows, Size Tokens>
  void tile(const Int8Product& p, const Int8Columns& columns, Size row, Size token) const {
    const std::int32_t limit = limits[(row - first_row) / kRows];
    if (limit <= 32) return twofold::tile<SmallWeights<32>, Rows, Tokens>(p, columns, row, 1, token);
    if (limit <= 64) return twofold::tile<SmallWeights<64>, Rows, Tokens>(p, columns, row, 1, token);
    twofold::tile<AnyWeights, Rows, Tokens>(p, columns, row, 1, token);
  }

  template <Size Tokens>
  static constexpr Size streams() {
    return Tokens < 3 ? 4 : 2;
  }
  template <Size Rows, Size Tokens>
  static void stream(const Int8Product& p, const Int8Columns& columns, Size row, Size distance) {
    twofold::tile<AnyWeights, Rows, Tokens>(p, columns, row, distance, 0);
  }

  Size first_row = 0;
  std::int32_t limits[kRowBlock / kRows] = {};
};

}  // namespace

void pack_i8_avx2(const std::int8_t* x, Size x_stride, Size cols, Size tokens, Size begin, Size end,
                  std::int8_t* packed) {
  Int8Blocks<Avx2Int8>::pack(x, x_stride, cols, tokens, begin, end, packed);
}

void matmul_i8_avx2(const std::int8_t* w, Size rows, Size cols, const std::int8_t* packed, Size tokens,
                    std::int32_t* out, Size out_stride) {
  Int8Blocks<Avx2Int8>::multiply({w, packed, out, rows, cols, tokens, out_stride});
}

}  // namespace twofold
