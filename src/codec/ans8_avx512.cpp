#include <bit>
#include <utility>

#include "base/simd_x86.h"
#include "codec/ans8_lanes.h"

namespace twofold {

namespace {

struct Registers {
  __m512i divider, alias, own_offset, alias_offset, frequency, base, raw;

  explicit Registers(const Ans8Tables& tables)
      : divider(_mm512_loadu_si512(tables.divider.data())),
        alias(_mm512_loadu_si512(tables.alias.data())),
        own_offset(_mm512_loadu_si512(tables.own_offset.data())),
        alias_offset(_mm512_loadu_si512(tables.alias_offset.data())),
        frequency(_mm512_loadu_si512(tables.frequency.data())),
        base(_mm512_loadu_si512(tables.base.data())),
        raw(_mm512_loadu_si512(tables.raw.data())) {}
};

/// One unit: writes 64 weights, moves the pointers past what they take.
template <Ans8Raw kRaw, bool kLarge>
inline void decode_64(const Registers& tables, __m512i& low, __m512i& high, const std::uint8_t*& bytes,
                      const std::uint8_t*& raw, std::int8_t* out) {
  // The column is in the low 5 bits. The look-ups take 6 bits; the tables are there twice.
  const __m512i column = _mm512_srli_epi16(low, kAns8ColumnShift);
  const __m512i divider = _mm512_permutexvar_epi8(column, tables.divider);
  const __mmask64 is_alias = _mm512_cmpge_epu8_mask(low, divider);
  const __m512i symbol = _mm512_mask_permutexvar_epi8(column, is_alias, column, tables.alias);
  const __m512i own_offset = _mm512_permutexvar_epi8(column, tables.own_offset);
  const __m512i offset = _mm512_mask_permutexvar_epi8(own_offset, is_alias, column, tables.alias_offset);
  const __m512i number = _mm512_add_epi8(low, offset);
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

  if constexpr (kRaw == Ans8Raw::kAll) {
    weight = _mm512_add_epi8(weight, _mm512_loadu_si512(raw));
    raw += kAns8Unit;
  }
  if constexpr (kRaw == Ans8Raw::kSome) {
    const __mmask64 has_raw = _mm512_movepi8_mask(_mm512_permutexvar_epi8(symbol, tables.raw));
    weight = _mm512_add_epi8(weight, _mm512_maskz_expand_epi8(has_raw, _mm512_loadu_si512(raw)));
    raw += std::popcount(std::uint64_t{has_raw});
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
    case Ans8Raw::kSome:
      return decode<Ans8Raw::kSome, kLarge>(tables, states, cursor);
    case Ans8Raw::kAll:
      return decode<Ans8Raw::kAll, kLarge>(tables, states, cursor);
  }
}

}  // namespace

void ans8_lanes_avx512(const Ans8Tables& tables, Ans8States& states, Ans8Cursor& cursor) {
  return tables.large ? decode_kind<true>(tables, states, cursor)
                      : decode_kind<false>(tables, states, cursor);
}

}  // namespace twofold
