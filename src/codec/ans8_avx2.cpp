#include <array>
#include <bit>
#include <cstring>

#include "base/simd_x86.h"
#include "codec/ans8_lanes.h"

namespace twofold {

namespace {

/// For each mask of 8 lanes the byte shuffle that brings consecutive bytes to the lanes whose bit is set and
/// zero to the others: what vpexpandb does on AVX-512.
struct ExpandTable {
  alignas(64) std::array<std::uint64_t, 256> shuffle{};

  constexpr ExpandTable() {
    for (unsigned mask = 0; mask < 256; ++mask) {
      std::uint64_t next = 0;
      for (unsigned lane = 0; lane < 8; ++lane) {
        const bool set = (mask >> lane & 1) != 0;
        shuffle[mask] |= (set ? next : 0x80) << 8 * lane;
        if (set) ++next;
      }
    }
  }
};

constexpr ExpandTable kExpand;

inline __m128i two_words(const void* low, const void* high) {
  std::int64_t a, b;
  std::memcpy(&a, low, 8);
  std::memcpy(&b, high, 8);
  return _mm_set_epi64x(b, a);
}

/// Consecutive bytes to the lanes of `mask`, zero to the others; moves `bytes` past those taken. Reads up to
/// 32 bytes.
inline __m256i expand(std::uint32_t mask, const std::uint8_t*& bytes) {
  const std::uint8_t* const second = bytes + std::popcount(mask & 0xff);
  const std::uint8_t* const third = bytes + std::popcount(mask & 0xffff);
  const std::uint8_t* const fourth = bytes + std::popcount(mask & 0xffffff);
  const __m256i data =
      _mm256_inserti128_si256(_mm256_castsi128_si256(two_words(bytes, second)), two_words(third, fourth), 1);
  const __m256i shuffle = _mm256_inserti128_si256(
      _mm256_castsi128_si256(two_words(&kExpand.shuffle[mask & 0xff], &kExpand.shuffle[mask >> 8 & 0xff])),
      two_words(&kExpand.shuffle[mask >> 16 & 0xff], &kExpand.shuffle[mask >> 24]), 1);
  bytes += std::popcount(mask);
  // Within 16 bytes the second 8 lanes take from the second 8 bytes.
  return _mm256_shuffle_epi8(
      data, _mm256_add_epi8(shuffle, _mm256_set_epi64x(0x0808080808080808, 0, 0x0808080808080808, 0)));
}

/// A table of 32 bytes. vpshufb yields 0 where the top bit of an index is set, so with the index i + 112 for
/// the first half and i - 16 for the second one exactly one of them yields the byte.
struct Table32 {
  __m256i first, second;

  explicit Table32(const Ans8Tables::Bytes& bytes)
      : first(half(bytes.data())), second(half(bytes.data() + 16)) {}
  static __m256i half(const std::uint8_t* bytes) {
    return _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(bytes)));
  }
};

struct Index32 {
  __m256i first, second;

  explicit Index32(__m256i index)
      : first(_mm256_add_epi8(index, _mm256_set1_epi8(112))),
        second(_mm256_add_epi8(index, _mm256_set1_epi8(-16))) {}
};

inline __m256i look_up(const Table32& table, const Index32& index) {
  return _mm256_or_si256(_mm256_shuffle_epi8(table.first, index.first),
                         _mm256_shuffle_epi8(table.second, index.second));
}

/// 32 lanes: writes their weights, moves the pointers past what they take.
template <Ans8Raw kRaw, bool kLarge>
inline void decode_32(const Ans8Tables& tables, __m256i& low, __m256i& high, const std::uint8_t*& bytes,
                      const std::uint8_t*& raw, std::int8_t* out) {
  const __m256i column =
      _mm256_and_si256(_mm256_srli_epi16(low, kAns8ColumnShift), _mm256_set1_epi8(kAns8Columns - 1));
  const Index32 by_column(column);
  const __m256i divider = look_up(Table32(tables.divider), by_column);
  const __m256i is_alias = _mm256_cmpeq_epi8(_mm256_max_epu8(low, divider), low);
  const __m256i symbol = _mm256_blendv_epi8(column, look_up(Table32(tables.alias), by_column), is_alias);
  const __m256i offset = _mm256_blendv_epi8(look_up(Table32(tables.own_offset), by_column),
                                            look_up(Table32(tables.alias_offset), by_column), is_alias);
  const __m256i number = _mm256_add_epi8(low, offset);
  const Index32 by_symbol(symbol);
  const __m256i frequency = look_up(Table32(tables.frequency), by_symbol);
  __m256i weight = look_up(Table32(tables.base), by_symbol);

  // frequency * high + number in 16 bits, the even and the odd lanes apart. vpmaddubsw takes the frequency as
  // signed, so that one above 127 yields 256 * high too little.
  const __m256i even = _mm256_set1_epi16(0x00ff);
  const __m256i next_even = _mm256_add_epi16(_mm256_maddubs_epi16(_mm256_and_si256(even, high), frequency),
                                             _mm256_and_si256(even, number));
  const __m256i next_odd = _mm256_add_epi16(_mm256_maddubs_epi16(_mm256_andnot_si256(even, high), frequency),
                                            _mm256_srli_epi16(number, 8));
  const __m256i next_low = _mm256_or_si256(_mm256_and_si256(even, next_even), _mm256_slli_epi16(next_odd, 8));
  __m256i next_high = _mm256_or_si256(_mm256_srli_epi16(next_even, 8), _mm256_andnot_si256(even, next_odd));
  if constexpr (kLarge) {
    const __m256i is_large = _mm256_cmpgt_epi8(_mm256_setzero_si256(), frequency);
    next_high = _mm256_add_epi8(next_high, _mm256_and_si256(is_large, high));
  }
  const __m256i is_short = _mm256_cmpeq_epi8(next_high, _mm256_setzero_si256());
  const auto mask = static_cast<std::uint32_t>(_mm256_movemask_epi8(is_short));
  high = _mm256_blendv_epi8(next_high, next_low, is_short);
  low = _mm256_or_si256(_mm256_andnot_si256(is_short, next_low), expand(mask, bytes));

  if constexpr (kRaw == Ans8Raw::kAll) {
    weight = _mm256_add_epi8(weight, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(raw)));
    raw += 32;
  }
  if constexpr (kRaw == Ans8Raw::kSome) {
    const __m256i has_raw = look_up(Table32(tables.raw), by_symbol);
    weight = _mm256_add_epi8(weight, expand(static_cast<std::uint32_t>(_mm256_movemask_epi8(has_raw)), raw));
  }
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), weight);
}

template <Ans8Raw kRaw, bool kLarge>
void decode(const Ans8Tables& tables, Ans8States& states, Ans8Cursor& cursor) {
  const auto state = [](std::uint8_t* bytes) { return reinterpret_cast<__m256i*>(bytes); };
  Ans8Cursor at = cursor;  // a copy, which stores through `out` cannot change
  for (; ans8_goes_on(at, kRaw, 1); --at.units) {
    std::uint8_t* const low_bytes = states.low[at.group].data();
    std::uint8_t* const high_bytes = states.high[at.group].data();
    for (std::size_t lane = 0; lane < kAns8Unit; lane += 32) {
      __m256i low = _mm256_load_si256(state(low_bytes + lane));
      __m256i high = _mm256_load_si256(state(high_bytes + lane));
      decode_32<kRaw, kLarge>(tables, low, high, at.bytes, at.raw, at.out + lane);
      _mm256_store_si256(state(low_bytes + lane), low);
      _mm256_store_si256(state(high_bytes + lane), high);
    }
    at.out += kAns8Unit;
    at.group = (at.group + 1) % kAns8Groups;
  }
  cursor = at;
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

void ans8_lanes_avx2(const Ans8Tables& tables, Ans8States& states, Ans8Cursor& cursor) {
  return tables.large ? decode_kind<true>(tables, states, cursor)
                      : decode_kind<false>(tables, states, cursor);
}

}  // namespace twofold
