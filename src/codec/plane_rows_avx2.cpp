#include "codec/plane_loops_avx2.h"
#include "codec/plane_rows.h"

namespace twofold {

namespace {

/// Stores values plus base.
struct StoreSink {
  std::int8_t* out;
  std::size_t gap;  // between the end of a row and the next row
  __m256i base;

  void begin() {}
  void end() {}
  void add(__m256i a, __m256i b) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm256_add_epi8(a, base));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 32), _mm256_add_epi8(b, base));
    out += kGroupColumns;
  }
  void next_row() { out += gap; }
};

void decode(const PlaneClass& parameters, std::size_t rows, std::size_t groups, PlaneCursor& cursor,
            std::int8_t* out, std::size_t stride) {
  const std::size_t width = groups * kGroupColumns;
  if (parameters.raw()) {
    for (std::size_t row = 0; row < rows; ++row, cursor.plane += width) {
      std::memcpy(out + row * stride, cursor.plane, width);
    }
    return;
  }
  StoreSink sink{out, stride - width, _mm256_set1_epi8(static_cast<char>(parameters.base))};
  class_groups(parameters, rows, groups, cursor, sink);
}

/// For each byte of a mask the places, among the nonzeros, of the eight weights it stands for; 0x80 gives
/// zero.
struct SpreadTable {
  std::array<std::uint64_t, 256> shuffle{};

  constexpr SpreadTable() {
    for (std::size_t mask = 0; mask < shuffle.size(); ++mask) {
      std::uint64_t next = 0;
      for (std::size_t i = 0; i < 8; ++i) {
        shuffle[mask] |= ((mask >> i & 1) != 0 ? next++ : std::uint64_t{0x80}) << (8 * i);
      }
    }
  }
};

constexpr SpreadTable kSpread;

void spread(const std::uint8_t* mask, const std::int8_t* nonzero, std::size_t count, std::int8_t* out) {
  for (std::size_t i = 0; i < count / 8; ++i) {
    const __m128i values = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(nonzero));
    const __m128i shuffle = _mm_cvtsi64_si128(static_cast<long long>(kSpread.shuffle[mask[i]]));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(out + 8 * i), _mm_shuffle_epi8(values, shuffle));
    nonzero += std::popcount(mask[i]);
  }
}

}  // namespace

const PlaneRows& plane_rows_avx2() {
  static const PlaneRows table = {.decode = decode, .spread = spread};
  return table;
}

}  // namespace twofold
