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
TWOFOLD_INLINE inline void add_products(const std::int8_t* w, Size row_stride, const std::int8_t* x,
                                        __m256i (&sums)[Rows * Tokens]) {
  __m256i weights[Rows * Steps];
  __m256i bytes[Rows * Steps];
  unroll<Rows * Steps>([&]<Size I>() TWOFOLD_INLINE_LAMBDA {
    __builtin_prefetch(w + I / Steps * row_stride + I % Steps * 32 + kAhead);
    weights[I] = load(w + I / Steps * row_stride + I % Steps * 32);
    bytes[I] = Weights::unsigned_side(weights[I]);
  });
  unroll<Tokens>([&]<Size T>() TWOFOLD_INLINE_LAMBDA {
    unroll<Rows>([&]<Size R>() TWOFOLD_INLINE_LAMBDA {
      __m256i pairs = _mm256_setzero_si256();
      unroll<Steps>([&]<Size S>() TWOFOLD_INLINE_LAMBDA {
        const __m256i values = load(x + (S * Tokens + T) * 32);
        const __m256i products =
            _mm256_maddubs_epi16(bytes[R * Steps + S], Weights::signed_side(weights[R * Steps + S], values));
        pairs = S == 0 ? products : _mm256_add_epi16(pairs, products);
      });
      const __m256i wide = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
      sums[R * Tokens + T] = _mm256_add_epi32(sums[R * Tokens + T], wide);
    });
  });
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
  unroll<Rows * Tokens>([&]<Size I>() TWOFOLD_INLINE_LAMBDA { sums[I] = _mm256_setzero_si256(); });
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
  unroll<(Rows * Tokens + 3) / 4>([&]<Size I>() TWOFOLD_INLINE_LAMBDA {
    const auto sum = [&]<Size J>() TWOFOLD_INLINE_LAMBDA {
      if constexpr (4 * I + J < Rows * Tokens)
        return sums[4 * I + J];
      else
        return _mm256_setzero_si256();
    };
    _mm_store_si128(reinterpret_cast<__m128i*>(totals + 4 * I),
                    sums_of_lanes(sum.template operator()<0>(), sum.template operator()<1>(),
                                  sum.template operator()<2>(), sum.template operator()<3>()));
  });
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

  /// With four tokens, eight sums stay in registers; below that memory decides.
  static constexpr Size rows_of_tile(Size tokens) { return tokens < 4 ? 4 : 2; }

  void rows_begin(const Int8Product& p, Size begin, Size end) {
    first_row = begin;
    for (Size row = begin; row < end && p.tokens >= kTokensForLimits; ++row)
      largest_of_row[row - begin] = largest(p.w + row * p.cols, p.cols);
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
  void tile(const Int8Product& p, const Int8Columns& columns, Size row, Size distance, Size token) const {
    if constexpr (Rows <= 2) {
      std::int32_t limit = p.tokens < kTokensForLimits ? 127 : 0;
      for (Size r = 0; r < Rows; ++r) {
        const std::int32_t large = largest_of_row[row - first_row + r * distance];
        limit = large > limit ? large : limit;
      }
      if (limit <= 32) return twofold::tile<SmallWeights<32>, Rows, Tokens>(p, columns, row, distance, token);
      if (limit <= 64) return twofold::tile<SmallWeights<64>, Rows, Tokens>(p, columns, row, distance, token);
    }
    twofold::tile<AnyWeights, Rows, Tokens>(p, columns, row, distance, token);
  }

  Size first_row = 0;
  std::int32_t largest_of_row[kRowBlock] = {};
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
