#include <algorithm>
#include <array>

#include "base/aligned.h"
#include "codec/plane_loops_avx2.h"
#include "kernels/cpu/correct_dots_x86.h"
#include "kernels/plane_dot.h"

namespace twofold {

namespace {

std::int32_t sum_of_lanes(__m256i v) {
  __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
}

/// How far to fetch ahead when so many rows are read side by side.
template <std::size_t kRows>
constexpr std::ptrdiff_t kAhead = kRows == 1 ? kPlaneAhead : kPlaneAhead / 4;

__m256i widen(__m256i pairs) {
  return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

/// Sums of products with x. vpmaddubsw adds two products of at most 127 * 127 in 16 bits, which is exact.
struct DotSink {
  const std::int8_t* begin_of_x;
  __m256i* sums;  // of each row, in eight parts
  const std::int8_t* x = begin_of_x;
  __m256i sum = _mm256_setzero_si256();
  __m256i small_a = _mm256_setzero_si256();
  __m256i small_b = _mm256_setzero_si256();

  void begin() { small_a = small_b = _mm256_setzero_si256(); }
  void add(__m256i a, __m256i b) {
    small_a = _mm256_add_epi16(small_a, _mm256_maddubs_epi16(a, load256(x)));
    small_b = _mm256_add_epi16(small_b, _mm256_maddubs_epi16(b, load256(x + 32)));
    x += kGroupColumns;
  }
  void end() { sum = _mm256_add_epi32(sum, _mm256_add_epi32(widen(small_a), widen(small_b))); }
  void next_row() {
    *sums = _mm256_add_epi32(*sums, sum);
    ++sums;
    sum = _mm256_setzero_si256();
    x = begin_of_x;
  }
};

/// `kRows` rows of a packed class, `stride` bytes apart, times x; adds to sums[0], sums[apart] ... What sums
/// of 16 bits hold is unrolled, for these loops are shorter than what starting them costs.
template <int Bits, std::size_t kRows>
struct PackedRows {
  static void add(const std::uint8_t* plane, std::size_t stride, std::size_t groups, const std::int8_t* x,
                  __m256i* sums, std::size_t apart) {
    constexpr std::size_t kMost = groups_in_16_bits((1 << Bits) - 1);
    __m256i sum[kRows] = {};
    while (groups > 0) {
      const std::size_t count = std::min(groups, kMost);
      groups -= count;
      Pair256 small[kRows] = {};
      const auto add_group = [&] {
#pragma GCC unroll 2
        for (std::size_t r = 0; r < kRows; ++r) {
          const std::uint8_t* row = plane + r * stride;
          prefetch(row + kAhead<kRows>);
          const Pair256 codes = unpack(row, Bits);
          small[r].a = _mm256_add_epi16(small[r].a, _mm256_maddubs_epi16(codes.a, load256(x)));
          small[r].b = _mm256_add_epi16(small[r].b, _mm256_maddubs_epi16(codes.b, load256(x + 32)));
        }
        plane += 8 * Bits;
        x += kGroupColumns;
      };
      std::size_t i = 0;
      for (; i + 2 <= count; i += 2) {
        add_group();
        add_group();
      }
      if (i < count) add_group();
#pragma GCC unroll 2
      for (std::size_t r = 0; r < kRows; ++r)
        sum[r] = _mm256_add_epi32(sum[r], _mm256_add_epi32(widen(small[r].a), widen(small[r].b)));
    }
#pragma GCC unroll 2
    for (std::size_t r = 0; r < kRows; ++r) sums[r * apart] = _mm256_add_epi32(sums[r * apart], sum[r]);
  }
};

/// Signed weights as they are: |w| times x with the sign of w.
template <std::size_t kRows>
struct PackedRows<kPlaneRawBits, kRows> {
  static void add(const std::uint8_t* plane, std::size_t stride, std::size_t groups, const std::int8_t* x,
                  __m256i* sums, std::size_t apart) {
    __m256i sum[kRows] = {};
    for (; groups > 0; --groups, plane += kGroupColumns, x += kGroupColumns) {
#pragma GCC unroll 2
      for (std::size_t r = 0; r < kRows; ++r) {
        const std::uint8_t* row = plane + r * stride;
        prefetch(row + kAhead<kRows>);
        const __m256i a = load256(row);
        const __m256i b = load256(row + 32);
        const __m256i xa = _mm256_sign_epi8(load256(x), a);
        const __m256i xb = _mm256_sign_epi8(load256(x + 32), b);
        sum[r] = _mm256_add_epi32(sum[r], widen(_mm256_maddubs_epi16(_mm256_abs_epi8(a), xa)));
        sum[r] = _mm256_add_epi32(sum[r], widen(_mm256_maddubs_epi16(_mm256_abs_epi8(b), xb)));
      }
    }
#pragma GCC unroll 2
    for (std::size_t r = 0; r < kRows; ++r) sums[r * apart] = _mm256_add_epi32(sums[r * apart], sum[r]);
  }
};

/// All rows of a class without symbols. Where there is much to read for little work, rows from both halves go
/// side by side: two places in memory are read faster than one.
template <int Bits>
void add_rows(std::size_t rows, std::size_t groups, PlaneCursor& cursor, const std::int8_t* x,
              __m256i* sums) {
  constexpr std::size_t kRows = Bits < 6 ? 1 : 2;
  const std::size_t row_bytes = groups * 8 * Bits;
  const std::size_t apart = rows / kRows;
  for (std::size_t row = 0; row < apart; ++row) {
    PackedRows<Bits, kRows>::add(cursor.plane + row * row_bytes, apart * row_bytes, groups, x, sums + row,
                                 apart);
  }
  for (std::size_t row = apart * kRows; row < rows; ++row)
    PackedRows<Bits, 1>::add(cursor.plane + row * row_bytes, 0, groups, x, sums + row, 0);
  cursor.plane += rows * row_bytes;
}

/// A class without symbols, by its bits.
void add_packed(int bits, std::size_t rows, std::size_t groups, PlaneCursor& cursor, const std::int8_t* x,
                __m256i* sums) {
  constexpr std::array kByBits = {add_rows<1>, add_rows<2>, add_rows<3>, add_rows<4>,
                                  add_rows<5>, add_rows<6>, add_rows<7>, add_rows<kPlaneRawBits>};
  kByBits[static_cast<std::size_t>(bits) - 1](rows, groups, cursor, x, sums);
}

}  // namespace

void plane_dot_avx2(const PlaneTable& table, PlaneCursor& cursor, std::size_t rows, const std::int8_t* x,
                    std::int32_t* sums) {
  prefetch_streams(table, cursor);
  thread_local AlignedVector<std::int32_t> buffer;
  constexpr std::size_t kParts = 8;
  buffer.assign(rows * kParts, 0);
  auto* parts = reinterpret_cast<__m256i*>(buffer.data());
  const std::int8_t* begin = x;
  for (std::size_t c = 0; c < table.classes.size(); ++c) {
    const PlaneClass& parameters = table.classes[c];
    const std::size_t groups = table.groups(c);
    if (parameters.root_bits == 0) {
      add_packed(parameters.low_bits, rows, groups, cursor, begin, parts);
    } else {
      DotSink sink{begin, parts};
      symbol_groups(parameters, rows, groups, cursor, sink);
    }
    begin += groups * kGroupColumns;
  }
  for (std::size_t row = 0; row < rows; ++row) sums[row] = sum_of_lanes(parts[row]);
  correct_dots_x86(table, cursor, rows, x, sums);
}

}  // namespace twofold
