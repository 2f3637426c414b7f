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

/// Sums of products with x: vpdpbusd adds four products of unsigned and signed bytes in 32 bits.
struct DotSink {
  const std::int8_t* begin_of_x;
  std::size_t width;  // columns of the class
  __m256i* sums;      // of each row, in eight parts
  const std::int8_t* x = begin_of_x;
  __m256i sum = _mm256_setzero_si256();

  void begin() {}
  void end() {}
  void add(__m256i a, __m256i b) {
    sum = _mm256_dpbusd_avx_epi32(sum, a, load256(x));
    sum = _mm256_dpbusd_avx_epi32(sum, b, load256(x + 32));
    x += kGroupColumns;
  }
  void next_row() {
    *sums = _mm256_add_epi32(*sums, sum);
    ++sums;
    sum = _mm256_setzero_si256();
    x = begin_of_x;
  }

  /// Signed weights as they are: |w| times x with the sign of w.
  void add_raw(std::size_t rows, PlaneCursor& cursor) {
    for (; rows > 0; --rows, next_row()) {
      for (; x < begin_of_x + width; x += 32, cursor.plane += 32) {
        const __m256i w = load256(cursor.plane);
        sum = _mm256_dpbusd_avx_epi32(sum, _mm256_abs_epi8(w), _mm256_sign_epi8(load256(x), w));
      }
    }
  }
};

}  // namespace

void plane_dot_avx2vnni(const PlaneTable& table, PlaneCursor& cursor, std::size_t rows, const std::int8_t* x,
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
    DotSink sink{begin, groups * kGroupColumns, parts};
    if (parameters.raw()) {
      sink.add_raw(rows, cursor);
    } else {
      class_groups(parameters, rows, groups, cursor, sink);
    }
    begin += groups * kGroupColumns;
  }
  for (std::size_t row = 0; row < rows; ++row) sums[row] = sum_of_lanes(parts[row]);
  correct_dots_x86(table, cursor, rows, x, sums);
}

}  // namespace twofold
