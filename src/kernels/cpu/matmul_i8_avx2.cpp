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
  static constexpr Size kSteps = 1;          // whose products are added in 16 bits
  static constexpr bool kFromMemory = true;  // nothing has looked at the weights before
  static __m256i unsigned_side(__m256i w) { return _mm256_abs_epi8(w); }
  static __m256i sign(__m256i w) { return w; }
  static __m256i signed_side(__m256i w, __m256i x) { return _mm256_sign_epi8(x, w); }
};

/// |w| times x, or -1 - x where w < 0: a cheaper operation than vpsignb. The sum of |w| where w < 0 is added
/// in the end. 2 * 127 * 128 < 2^15.
struct LargeWeights {
  static constexpr Size kSteps = 1;
  static constexpr bool kFromMemory = false;
  static __m256i unsigned_side(__m256i w) { return _mm256_abs_epi8(w); }
  static __m256i sign(__m256i w) { return _mm256_cmpgt_epi8(_mm256_setzero_si256(), w); }
  static __m256i signed_side(__m256i negative, __m256i x) { return _mm256_xor_si256(x, negative); }
};

/// w + Limit times x when |w| <= Limit; Limit times the sum of x is taken off in the end. With Limit = 64,
/// 2 * 128 * 127 < 2^15; with 32, the products of two steps fit.
template <std::int32_t Limit>
struct SmallWeights {
  static constexpr Size kSteps = 64 / Limit;
  static constexpr bool kFromMemory = false;
  static __m256i unsigned_side(__m256i w) { return _mm256_add_epi8(w, _mm256_set1_epi8(Limit)); }
  static __m256i sign(__m256i w) { return w; }
  static __m256i signed_side(__m256i, __m256i x) { return x; }
};

/// What is added to the sums of a tile, modulo 2^32.
struct Offsets {
  std::uint32_t of_row[4] = {};
  std::uint32_t of_token[kTokenGroup] = {};
};

/// Adds the products of Steps steps: w is the first row's, x the group's of tokens.
template <typename Weights, Size Steps, Size Rows, Size Tokens>
TWOFOLD_INLINE inline void add_products(const std::int8_t* w, Size row_stride, const std::int8_t* x,
                                        __m256i (&sums)[Rows * Tokens]) {
  __m256i signs[Rows * Steps];
  __m256i bytes[Rows * Steps];
  unroll<Rows * Steps>([&]<Size I>() TWOFOLD_INLINE_LAMBDA {
    if constexpr (Weights::kFromMemory)
      __builtin_prefetch(w + I / Steps * row_stride + I % Steps * 32 + kAhead);
    const __m256i weights = load(w + I / Steps * row_stride + I % Steps * 32);
    signs[I] = Weights::sign(weights);
    bytes[I] = Weights::unsigned_side(weights);
  });
  unroll<Tokens>([&]<Size T>() TWOFOLD_INLINE_LAMBDA {
    unroll<Rows>([&]<Size R>() TWOFOLD_INLINE_LAMBDA {
      __m256i pairs = _mm256_setzero_si256();
      unroll<Steps>([&]<Size S>() TWOFOLD_INLINE_LAMBDA {
        const __m256i values = load(x + (S * Tokens + T) * 32);
        const __m256i products =
            _mm256_maddubs_epi16(bytes[R * Steps + S], Weights::signed_side(signs[R * Steps + S], values));
        pairs = S == 0 ? products : _mm256_add_epi16(pairs, products);
      });
      const __m256i wide = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
      sums[R * Tokens + T] = _mm256_add_epi32(sums[R * Tokens + T], wide);
      asm volatile("" : "+x"(sums[R * Tokens + T]));  // or GCC mixes the groups and spills
    });
  });
}

/// Rows x Tokens sums for rows that are `distance` apart, with the first columns plus the offsets. Not
/// inlined, because among the variables of its callers it runs short of registers.
template <typename Weights, Size Rows, Size Tokens>
[[gnu::noinline]] void tile(const Int8Product& p, const Int8Columns& columns, Size row, Size distance,
                            Size token, const Offsets& offsets) {
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
  for (Size t = 0; t < Tokens; ++t) {
    for (Size r = 0; r < Rows; ++r) {
      std::int32_t& out = p.out[(token + t) * p.out_stride + row + r * distance];
      const std::uint32_t before =
          columns.first_step == 0 ? offsets.of_row[r] + offsets.of_token[t] : static_cast<std::uint32_t>(out);
      out = static_cast<std::int32_t>(before + static_cast<std::uint32_t>(totals[r * Tokens + t]));
    }
  }
}

struct Avx2Int8 {
  static constexpr Size kBytes = 32;
  static constexpr Size kTokensForLimits = 8;  // as soon as it pays to look at the weights

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
    if (p.tokens < kTokensForLimits) return;
    for (Size row = begin; row < end; ++row) look_at(p.w + row * p.cols, p.cols, rows[row - begin]);
  }

  struct Row {
    std::int32_t largest;    // |w|
    std::uint32_t negative;  // sum of |w| where w < 0
  };

  /// cols >= 32.
  static void look_at(const std::int8_t* w, Size cols, Row& row) {
    const __m256i zero = _mm256_setzero_si256();
    __m256i max = zero;
    __m256i sum = zero;
    const auto visit = [&](__m256i weights) TWOFOLD_INLINE_LAMBDA {
      const __m256i size = _mm256_abs_epi8(weights);
      max = _mm256_max_epu8(max, size);
      const __m256i negative = _mm256_and_si256(size, _mm256_cmpgt_epi8(zero, weights));
      sum = _mm256_add_epi64(sum, _mm256_sad_epu8(negative, zero));
    };
    const Size rest = cols % kBytes;
    if (rest != 0) visit(load(w));
    for (Size c = rest; c < cols; c += kBytes) {
      __builtin_prefetch(w + c + kAhead);
      visit(load(w + c));
    }
    alignas(32) std::uint8_t bytes[kBytes];
    _mm256_store_si256(reinterpret_cast<__m256i*>(bytes), max);
    row.largest = 0;
    for (const std::uint8_t byte : bytes) row.largest = byte > row.largest ? byte : row.largest;
    row.negative = static_cast<std::uint32_t>(_mm_cvtsi128_si32(sums_of_lanes(sum, sum, sum, sum)));
  }

  template <Size Rows, Size Tokens>
  void tile(const Int8Product& p, const Int8Columns& columns, Size row, Size distance, Size token) const {
    Offsets offsets;
    if (p.tokens < kTokensForLimits)
      return twofold::tile<AnyWeights, Rows, Tokens>(p, columns, row, distance, token, offsets);
    std::int32_t largest = 0;
    for (Size r = 0; r < Rows; ++r) {
      const Row& seen = rows[row - first_row + r * distance];
      largest = seen.largest > largest ? seen.largest : largest;
      offsets.of_row[r] = seen.negative;
    }
    if (largest > 64)
      return twofold::tile<LargeWeights, Rows, Tokens>(p, columns, row, distance, token, offsets);
    const std::uint32_t limit = largest > 32 ? 64 : 32;
    const std::int8_t* sums = p.packed + Int8Layout<kBytes>::group_offset(token, p.cols) +
                              Int8Layout<kBytes>(p.cols).steps * Tokens * kBytes;
    __builtin_memcpy(offsets.of_token, sums, Tokens * sizeof(std::int32_t));
    for (std::uint32_t& offset : offsets.of_token) offset *= 0 - limit;
    for (std::uint32_t& offset : offsets.of_row) offset = 0;
    if (limit == 64)
      return twofold::tile<SmallWeights<64>, Rows, Tokens>(p, columns, row, distance, token, offsets);
    twofold::tile<SmallWeights<32>, Rows, Tokens>(p, columns, row, distance, token, offsets);
  }

  Size first_row = 0;
  Row rows[kRowBlock] = {};
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
