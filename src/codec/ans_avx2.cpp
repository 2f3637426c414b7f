#include <array>
#include <bit>

#include "base/simd_x86.h"
#include "codec/ans_lanes.h"
#include "codec/ans_model.h"

namespace twofold {

namespace {

/// For each mask of 8 lanes the byte shuffle that brings consecutive 16-bit words to the lanes whose bit is
/// set and zero to the others: what vpexpandw does on AVX-512.
struct ExpandTable {
  alignas(64) std::array<std::array<std::uint8_t, 16>, 256> shuffle{};

  constexpr ExpandTable() {
    for (unsigned mask = 0; mask < 256; ++mask) {
      std::uint8_t next = 0;
      for (unsigned lane = 0; lane < 8; ++lane) {
        const bool set = (mask >> lane & 1) != 0;
        shuffle[mask][2 * lane] = set ? next : 0x80;
        shuffle[mask][2 * lane + 1] = set ? static_cast<std::uint8_t>(next + 1) : 0x80;
        if (set) next = static_cast<std::uint8_t>(next + 2);
      }
    }
  }
};

constexpr ExpandTable kExpand;

constexpr std::size_t kVector = 8;  // lanes in a register

/// Table entries of 8 slots. Single loads beat vpgatherdd, which is slow on AMD and on Intel processors with
/// the fix for Downfall: 2.1 against 1.6 GB/s on a Zen 3.
inline __m256i look_up(const std::uint32_t* slots, const std::uint32_t* table) {
  const auto four = [table](const std::uint32_t* s) {
    __m128i entries = _mm_cvtsi32_si128(static_cast<int>(table[s[0]]));
    entries = _mm_insert_epi32(entries, static_cast<int>(table[s[1]]), 1);
    entries = _mm_insert_epi32(entries, static_cast<int>(table[s[2]]), 2);
    return _mm_insert_epi32(entries, static_cast<int>(table[s[3]]), 3);
  };
  return _mm256_inserti128_si256(_mm256_castsi128_si256(four(slots)), four(slots + 4), 1);
}

/// One step of 8 lanes: returns the weights in 8 elements of 32 bits, replaces states and slots, moves
/// `words` past those taken. `slots` are the states' low 12 bits. They go through memory, written one step
/// ahead of their use, because taking them out of a register costs more operations and the wait.
inline __m256i decode_8(__m256i& state, std::uint32_t* slots, const std::uint32_t* table,
                        const std::uint8_t*& words) {
  const __m256i entry = look_up(slots, table);
  const __m256i frequency = _mm256_and_si256(_mm256_srli_epi32(entry, 8), _mm256_set1_epi32(0xfff));
  const __m256i next = _mm256_add_epi32(_mm256_mullo_epi32(frequency, _mm256_srli_epi32(state, kAnsBits)),
                                        _mm256_srli_epi32(entry, 20));
  const __m256i low = _mm256_cmpeq_epi32(_mm256_srli_epi32(next, 16), _mm256_setzero_si256());
  const auto mask = static_cast<unsigned>(_mm256_movemask_ps(_mm256_castsi256_ps(low)));
  const __m128i shuffle = _mm_load_si128(reinterpret_cast<const __m128i*>(kExpand.shuffle[mask].data()));
  const __m128i word = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(words)), shuffle);
  words += 2 * std::popcount(mask);
  const __m256i shift = _mm256_and_si256(low, _mm256_set1_epi32(16));
  state = _mm256_or_si256(_mm256_sllv_epi32(next, shift), _mm256_cvtepu16_epi32(word));
  _mm256_store_si256(reinterpret_cast<__m256i*>(slots),
                     _mm256_and_si256(state, _mm256_set1_epi32(kAnsTotal - 1)));
  return _mm256_and_si256(entry, _mm256_set1_epi32(0xff));
}

/// One step of 32 lanes: writes 32 weights.
inline void decode_32(__m256i* state, std::uint32_t* slots, const std::uint32_t* table,
                      const std::uint8_t*& words, std::int8_t* out) {
  const __m256i weights0 = decode_8(state[0], slots, table, words);
  const __m256i weights1 = decode_8(state[1], slots + kVector, table, words);
  const __m256i weights2 = decode_8(state[2], slots + 2 * kVector, table, words);
  const __m256i weights3 = decode_8(state[3], slots + 3 * kVector, table, words);
  // Packing works within halves of 16 bytes and leaves groups of 4 weights in the order 0 2 4 6 1 3 5 7.
  const __m256i packed =
      _mm256_packus_epi16(_mm256_packus_epi32(weights0, weights1), _mm256_packus_epi32(weights2, weights3));
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm256_permutevar8x32_epi32(packed, order));
}

}  // namespace

void ans_lanes_avx2(const std::uint32_t* table, std::uint32_t* states, AnsCursor& cursor) {
  const std::uint8_t* words = cursor.words;
  std::int8_t* out = cursor.out;
  std::size_t steps = cursor.steps;
  __m256i state[kAnsLanes / kVector];
  alignas(32) std::uint32_t slots[kAnsLanes];
  for (std::size_t i = 0; i < kAnsLanes / kVector; ++i) {
    state[i] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(states + kVector * i));
  }
  for (std::size_t lane = 0; lane < kAnsLanes; ++lane) slots[lane] = states[lane] % kAnsTotal;
  for (; steps > 0 && cursor.end - words >= static_cast<std::ptrdiff_t>(kAnsStepBytes); --steps) {
    decode_32(state, slots, table, words, out);
    decode_32(state + 4, slots + 32, table, words, out + 32);
    out += kAnsLanes;
  }
  for (std::size_t i = 0; i < kAnsLanes / kVector; ++i) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(states + kVector * i), state[i]);
  }
  cursor.words = words;
  cursor.out = out;
  cursor.steps = steps;
}

}  // namespace twofold
