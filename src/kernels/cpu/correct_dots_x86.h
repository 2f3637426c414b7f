#pragma once

// correct_dots eight corrections at a time, for AVX2 and above. Internal linkage: compiled for each
// instruction set.

#include <cstring>

#include "base/simd_x86.h"
#include "codec/plane_table.h"
#include "kernels/plane_dot.h"

namespace twofold {
namespace {

/// Columns are in 16 bits, those of two rows side by side included, eight of the longest gaps after the last.
constexpr std::uint64_t kCorrectDotsMaxWidth = 49152;

inline std::int32_t sum_of_lanes(__m128i v) {
  v = _mm_add_epi32(v, _mm_shuffle_epi32(v, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(v, _mm_shuffle_epi32(v, 0xb1)));
}

template <int kGapBits, int kDeltaBits>
class DotCorrector {
 public:
  DotCorrector(const PlaneCursor& cursor, std::size_t rows, std::uint64_t width, const std::int8_t* x,
               std::int32_t* sums)
      : list_(cursor.corrections),
        left_(cursor.corrections_left),
        x_(x),
        sums_(sums),
        last_row_(sums + rows - 1),
        width_(width) {}

  /// Returns how many corrections lie behind the last row.
  std::uint64_t run() {
    const __m128i width = _mm_set1_epi16(static_cast<short>(width_));
    const __m128i last_lane = _mm_set1_epi16(0x0f0e);
    __m128i column = _mm_setzero_si128();  // of the correction before, in every lane
    __m128i sum = _mm_setzero_si128();
    while (left_ >= kBlock) {
      const __m128i entries = load_block();
      __m128i columns = _mm_and_si128(entries, _mm_set1_epi16((1 << kGapBits) - 1));
      columns = _mm_add_epi16(columns, _mm_slli_si128(columns, 2));
      columns = _mm_add_epi16(columns, _mm_slli_si128(columns, 4));
      columns = _mm_add_epi16(_mm_add_epi16(columns, column), _mm_slli_si128(columns, 8));
      const __m128i differences =
          _mm_srai_epi16(_mm_slli_epi16(entries, 16 - kGapBits - kDeltaBits), 16 - kDeltaBits);
      const auto last = static_cast<std::uint64_t>(_mm_extract_epi16(columns, 7));
      if (last < width_) {
        sum = _mm_add_epi32(sum, _mm_madd_epi16(differences, gather(columns)));
        column = _mm_shuffle_epi8(columns, last_lane);
      } else if (last < 2 * width_ && sums_ < last_row_) {
        // The row ends in this block: what is past it wraps around to less than it was.
        const __m128i wrapped = _mm_min_epu16(columns, _mm_sub_epi16(columns, width));
        const __m128i here = _mm_cmpeq_epi16(wrapped, columns);
        const __m128i x = gather(wrapped);
        *sums_++ += sum_of_lanes(_mm_add_epi32(sum, _mm_madd_epi16(_mm_and_si128(here, differences), x)));
        sum = _mm_madd_epi16(_mm_andnot_si128(here, differences), x);
        column = _mm_shuffle_epi8(wrapped, last_lane);
      } else {
        *sums_ += sum_of_lanes(sum);
        sum = _mm_setzero_si128();
        std::uint64_t place = static_cast<std::uint64_t>(_mm_extract_epi16(column, 0));
        if (!one_by_one(kBlock, place)) return left_;
        column = _mm_set1_epi16(static_cast<short>(place));
        continue;
      }
      list_ += kWidth;
      left_ -= kBlock;
    }
    *sums_ += sum_of_lanes(sum);
    std::uint64_t place = static_cast<std::uint64_t>(_mm_extract_epi16(column, 0));
    one_by_one(left_, place);
    return left_;
  }

 private:
  static constexpr int kWidth = kGapBits + kDeltaBits;  // bits of one, bytes of eight
  static constexpr std::size_t kBlock = 8;
  static_assert(kWidth % 2 == 0, "four corrections are whole bytes");

  /// Eight corrections in 16 bits each.
  __m128i load_block() const {
    constexpr std::uint64_t kLanes = 0x0001000100010001ULL * ((1u << kWidth) - 1);
    std::uint64_t low, high;
    std::memcpy(&low, list_, sizeof low);
    std::memcpy(&high, list_ + kWidth / 2, sizeof high);
    return _mm_set_epi64x(static_cast<long long>(_pdep_u64(high, kLanes)),
                          static_cast<long long>(_pdep_u64(low, kLanes)));
  }

  __m128i gather(__m128i columns) const {
    // By way of integer registers: taking 16 bits out of a vector is slow.
    const auto low = static_cast<std::uint64_t>(_mm_cvtsi128_si64(columns));
    const auto high = static_cast<std::uint64_t>(_mm_extract_epi64(columns, 1));
    const auto at = [this](std::uint64_t four, int i) { return x_[four >> (16 * i) & 0xffff]; };
    return _mm_cvtepi8_epi16(_mm_setr_epi8(at(low, 0), at(low, 1), at(low, 2), at(low, 3), at(high, 0),
                                           at(high, 1), at(high, 2), at(high, 3), 0, 0, 0, 0, 0, 0, 0, 0));
  }

  /// `count` corrections from a byte boundary; false when one lies behind the last row.
  bool one_by_one(std::uint64_t count, std::uint64_t& column) {
    for (std::uint64_t bit = 0; count > 0; --count, --left_, bit += kWidth) {
      std::uint32_t entry;
      std::memcpy(&entry, list_ + bit / 8, sizeof entry);
      entry >>= bit % 8;
      column += entry & ((1u << kGapBits) - 1);
      for (; column >= width_; column -= width_) {
        if (sums_ == last_row_) return false;
        ++sums_;
      }
      *sums_ += (static_cast<std::int32_t>(entry << (32 - kWidth)) >> (32 - kDeltaBits)) * x_[column];
    }
    list_ += kWidth;
    return true;
  }

  const std::uint8_t* list_;
  std::uint64_t left_;
  const std::int8_t* x_;
  std::int32_t* sums_;  // of the row
  std::int32_t* last_row_;
  std::uint64_t width_;
};

template <std::size_t kFormat>
inline std::uint64_t correct_dots_in(const PlaneCursor& cursor, std::size_t rows, std::uint64_t width,
                                     const std::int8_t* x, std::int32_t* sums) {
  constexpr CorrectionFormat kBits = kCorrectionFormats[kFormat];
  return DotCorrector<kBits.gap_bits, kBits.delta_bits>(cursor, rows, width, x, sums).run();
}

/// As correct_dots.
inline void correct_dots_x86(const PlaneTable& table, PlaneCursor& cursor, std::size_t rows,
                             const std::int8_t* x, std::int32_t* sums) {
  const std::uint64_t width = table.row_groups() * kGroupColumns;
  if (width > kCorrectDotsMaxWidth || rows == 0) return correct_dots(table, cursor, rows, x, sums);
  constexpr std::array<decltype(&correct_dots_in<0>), kCorrectionFormats.size()> kByFormat{
      correct_dots_in<0>, correct_dots_in<1>, correct_dots_in<2>,
      correct_dots_in<3>, correct_dots_in<4>, correct_dots_in<5>};
  cursor.corrections_left = kByFormat[table.correction_format](cursor, rows, width, x, sums);
}

}  // namespace
}  // namespace twofold
