#include <bit>
#include <cstring>
#include <utility>

#include "base/simd_x86.h"
#include "codec/ans8_lanes.h"

namespace twofold {

namespace {

struct Registers {
  __m512i own, alias, offset, frequency, base, raw;

  explicit Registers(const Ans8Tables& tables)
      : own(_mm512_loadu_si512(tables.own.data())),
        alias(_mm512_loadu_si512(tables.alias.data())),
        offset(_mm512_loadu_si512(tables.offset.data())),
        frequency(_mm512_loadu_si512(tables.frequency.data())),
        base(_mm512_loadu_si512(tables.base.data())),
        raw(_mm512_loadu_si512(tables.raw.data())) {}
};

/// Raw bits of a unit, when all weights have some.
template <Ans8Raw kRaw>
inline __m512i plane_bits(const std::uint8_t* planes) {
  __m512i raw = _mm512_setzero_si512();
  if constexpr (kRaw == Ans8Raw::kTwo || kRaw == Ans8Raw::kThree) {
    const __m512i pairs = _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(planes)));
    const __m512i shift = _mm512_setr_epi64(0, 0, 2, 2, 4, 4, 6, 6);
    raw = _mm512_and_si512(_mm512_srlv_epi64(pairs, shift), _mm512_set1_epi8(3));
  }
  if constexpr (kRaw == Ans8Raw::kOne || kRaw == Ans8Raw::kThree) {
    std::int64_t word;
    std::memcpy(&word, planes + (kRaw == Ans8Raw::kThree ? 16 : 0), 8);
    const __m512i shift = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7);
    const __m512i bits =
        _mm512_and_si512(_mm512_srlv_epi64(_mm512_set1_epi64(word), shift), _mm512_set1_epi8(1));
    raw = kRaw == Ans8Raw::kThree ? _mm512_or_si512(raw, _mm512_slli_epi16(bits, 2)) : bits;
  }
  return raw;
}

/// One unit: writes 64 weights, moves the pointers past what they take.
template <Ans8Raw kRaw, bool kLarge>
inline void decode_64(const Registers& tables, __m512i& low, __m512i& high, const std::uint8_t*& bytes,
                      const std::uint8_t*& raw, std::int8_t* out) {
  // The column is in the low 5 bits. The look-ups take 6 bits; the tables are there twice.
  const __m512i column = _mm512_srli_epi16(low, 3);
  const __m512i position = _mm512_and_si512(low, _mm512_set1_epi8(kAns8Positions - 1));
  const __m512i own = _mm512_permutexvar_epi8(column, tables.own);
  const __mmask64 is_alias = _mm512_cmpge_epu8_mask(position, own);
  const __m512i symbol = _mm512_mask_permutexvar_epi8(column, is_alias, column, tables.alias);
  const __m512i offset = _mm512_maskz_permutexvar_epi8(is_alias, column, tables.offset);
  const __m512i number = _mm512_add_epi8(position, offset);
  const __m512i frequency = _mm512_permutexvar_epi8(symbol, tables.frequency);
  __m512i weight = _mm512_permutexvar_epi8(symbol, tables.base);

  // frequency * high + number in 16 bits, the even and the odd lanes apart. vpmaddubsw takes the frequency as
  // signed, so that one above 127 yields 256 * high too little.
  const __m512i even = _mm512_set1_epi16(0x00ff);
  const __m512i next_even = _mm512_add_epi16(_mm512_maddubs_epi16(_mm512_and_si512(even, high), frequency),
                                             _mm512_and_si512(even, number));
  const __m512i next_odd = _mm512_add_epi16(_mm512_maddubs_epi16(_mm512_andnot_si512(even, high), frequency),
                                            _mm512_srli_epi16(number, 8));
  constexpr int kSelect = 0xca;  // a ? b : c, bit by bit
  const __m512i next_low =
      _mm512_ternarylogic_epi32(even, next_even, _mm512_slli_epi16(next_odd, 8), kSelect);
  __m512i next_high = _mm512_ternarylogic_epi32(even, _mm512_srli_epi16(next_even, 8), next_odd, kSelect);
  if constexpr (kLarge) {
    next_high = _mm512_mask_add_epi8(next_high, _mm512_movepi8_mask(frequency), next_high, high);
  }
  const __mmask64 is_short = _mm512_testn_epi8_mask(next_high, next_high);
  high = _mm512_mask_mov_epi8(next_high, is_short, next_low);
  low = _mm512_mask_expand_epi8(next_low, is_short, _mm512_loadu_si512(bytes));
  bytes += std::popcount(std::uint64_t{is_short});

  if constexpr (kRaw == Ans8Raw::kSome) {
    const __mmask64 has_raw = _mm512_movepi8_mask(_mm512_permutexvar_epi8(symbol, tables.raw));
    weight = _mm512_add_epi8(weight, _mm512_maskz_expand_epi8(has_raw, _mm512_loadu_si512(raw)));
    raw += std::popcount(std::uint64_t{has_raw});
  } else if constexpr (kRaw != Ans8Raw::kNone) {
    weight = _mm512_add_epi8(weight, plane_bits<kRaw>(raw));
    raw += ans8_raw_unit(kRaw);
  }
  _mm512_storeu_si512(out, weight);
}

template <Ans8Raw kRaw, bool kLarge>
void decode(const Ans8Tables& tables, Ans8States& states, Ans8Cursor& cursor) {
  const Registers registers(tables);
  static_assert(kAns8Groups == 2);
  Ans8Cursor at = cursor;  // a copy, which stores through `out` cannot change
  __m512i low0 = _mm512_loadu_si512(states.low[at.group].data());
  __m512i high0 = _mm512_loadu_si512(states.high[at.group].data());
  __m512i low1 = _mm512_loadu_si512(states.low[1 - at.group].data());
  __m512i high1 = _mm512_loadu_si512(states.high[1 - at.group].data());
  for (; ans8_goes_on(at, kRaw, 2); at.units -= 2) {
    decode_64<kRaw, kLarge>(registers, low0, high0, at.bytes, at.raw, at.out);
    decode_64<kRaw, kLarge>(registers, low1, high1, at.bytes, at.raw, at.out + kAns8Unit);
    at.out += 2 * kAns8Unit;
  }
  for (; ans8_goes_on(at, kRaw, 1); --at.units) {
    decode_64<kRaw, kLarge>(registers, low0, high0, at.bytes, at.raw, at.out);
    at.out += kAns8Unit;
    std::swap(low0, low1);
    std::swap(high0, high1);
    at.group = 1 - at.group;
  }
  cursor = at;
  _mm512_storeu_si512(states.low[at.group].data(), low0);
  _mm512_storeu_si512(states.high[at.group].data(), high0);
  _mm512_storeu_si512(states.low[1 - at.group].data(), low1);
  _mm512_storeu_si512(states.high[1 - at.group].data(), high1);
}

template <bool kLarge>
void decode_kind(const Ans8Tables& tables, Ans8States& states, Ans8Cursor& cursor) {
  switch (tables.raw_kind) {
    case Ans8Raw::kNone:
      return decode<Ans8Raw::kNone, kLarge>(tables, states, cursor);
    case Ans8Raw::kOne:
      return decode<Ans8Raw::kOne, kLarge>(tables, states, cursor);
    case Ans8Raw::kTwo:
      return decode<Ans8Raw::kTwo, kLarge>(tables, states, cursor);
    case Ans8Raw::kThree:
      return decode<Ans8Raw::kThree, kLarge>(tables, states, cursor);
    case Ans8Raw::kSome:
      return decode<Ans8Raw::kSome, kLarge>(tables, states, cursor);
  }
}

}  // namespace

void ans8_lanes_avx512(const Ans8Tables& tables, Ans8States& states, Ans8Cursor& cursor) {
  return tables.large ? decode_kind<true>(tables, states, cursor)
                      : decode_kind<false>(tables, states, cursor);
}

}  // namespace twofold
