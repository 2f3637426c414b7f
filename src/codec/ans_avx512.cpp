#include <bit>

#include "base/simd_x86.h"
#include "codec/ans_lanes.h"
#include "codec/ans_model.h"

namespace twofold {

namespace {

/// One step of 16 lanes: writes 16 weights, returns the states, moves `words` past the words taken. `all` is
/// the mask of all lanes.
inline __m512i decode_16(__m512i state, const std::uint32_t* table, const std::uint8_t*& words,
                         std::int8_t* out, __mmask16 all) {
  const __m512i slot = _mm512_and_si512(state, _mm512_set1_epi32(kAnsTotal - 1));
  const __m512i entry = _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), all, slot, table, 4);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm512_cvtepi32_epi8(entry));
  const __m512i frequency = _mm512_and_si512(_mm512_srli_epi32(entry, 8), _mm512_set1_epi32(0xfff));
  const __m512i next = _mm512_add_epi32(_mm512_mullo_epi32(frequency, _mm512_srli_epi32(state, kAnsBits)),
                                        _mm512_srli_epi32(entry, 20));
  const __mmask16 low = _mm512_cmplt_epu32_mask(next, _mm512_set1_epi32(kAnsLow));
  const __m512i word = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(words)));
  words += 2 * std::popcount(unsigned{low});
  return _mm512_or_si512(_mm512_mask_slli_epi32(next, low, next, 16), _mm512_maskz_expand_epi32(low, word));
}

}  // namespace

void ans_lanes_avx512(const std::uint32_t* table, std::uint32_t* states, AnsCursor& cursor) {
  const std::uint8_t* words = cursor.words;
  std::int8_t* out = cursor.out;
  std::size_t steps = cursor.steps;
  __m512i state0 = _mm512_loadu_si512(states);
  __m512i state1 = _mm512_loadu_si512(states + 16);
  __m512i state2 = _mm512_loadu_si512(states + 32);
  __m512i state3 = _mm512_loadu_si512(states + 48);
  // A gather keeps what its register held where the mask says so. Knowing that the mask has all lanes, GCC
  // takes any register, and the four gathers of a step wait for each other: by llvm-mca 124 cycles a step on
  // Ice Lake instead of 55. So it must not know.
  const volatile std::uint16_t all_lanes = 0xffff;
  const __mmask16 all = all_lanes;
  for (; steps > 0 && cursor.end - words >= static_cast<std::ptrdiff_t>(kAnsStepBytes); --steps) {
    state0 = decode_16(state0, table, words, out, all);
    state1 = decode_16(state1, table, words, out + 16, all);
    state2 = decode_16(state2, table, words, out + 32, all);
    state3 = decode_16(state3, table, words, out + 48, all);
    out += kAnsLanes;
  }
  _mm512_storeu_si512(states, state0);
  _mm512_storeu_si512(states + 16, state1);
  _mm512_storeu_si512(states + 32, state2);
  _mm512_storeu_si512(states + 48, state3);
  cursor.words = words;
  cursor.out = out;
  cursor.steps = steps;
}

}  // namespace twofold
