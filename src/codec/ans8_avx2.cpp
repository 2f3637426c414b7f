#include <array>
#include <bit>
#include <cstring>

#include "base/simd_x86.h"
#include "codec/ans8_lanes.h"

namespace twofold {

namespace {

/// For each mask of 8 lanes the byte shuffle that brings consecutive bytes to the lanes whose bit is set and
/// zero to the others; and vectors of 8 bytes 0 and 8 bytes i.
struct ExpandTable {
  alignas(64) std::array<std::uint64_t, 256> shuffle{};
  alignas(64) std::array<std::array<std::uint64_t, 2>, 9> second{};

  constexpr ExpandTable() {
    for (unsigned mask = 0; mask < 256; ++mask) {
      std::uint64_t next = 0;
      for (unsigned lane = 0; lane < 8; ++lane) {
        const bool set = (mask >> lane & 1) != 0;
        shuffle[mask] |= (set ? next : 0x80) << 8 * lane;
        if (set) ++next;
      }
    }
    for (std::uint64_t i = 0; i < second.size(); ++i) second[i][1] = i * 0x0101010101010101;
  }
};

constexpr ExpandTable kExpand;

inline __m128i two_shuffles(std::uint32_t mask, std::uint32_t next_mask) {
  return _mm_set_epi64x(static_cast<std::int64_t>(kExpand.shuffle[next_mask]),
                        static_cast<std::int64_t>(kExpand.shuffle[mask]));
}

inline __m256i two_vectors(const void* low, const void* high) {
  return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(static_cast<const __m128i*>(low))),
                                 _mm_loadu_si128(static_cast<const __m128i*>(high)), 1);
}

/// Consecutive bytes to the lanes of `mask`, zero to the others, as vpexpandb does on AVX-512; moves `bytes`
/// past those taken. Reads 32 bytes at most.
inline __m256i expand(std::uint32_t mask, const std::uint8_t*& bytes) {
  const __m256i data = two_vectors(bytes, bytes + std::popcount(mask & 0xffff));
  const __m256i shuffle =
      _mm256_inserti128_si256(_mm256_castsi128_si256(two_shuffles(mask & 0xff, mask >> 8 & 0xff)),
                              two_shuffles(mask >> 16 & 0xff, mask >> 24), 1);
  // Of each 16 lanes the second 8 begin behind the bytes of the first 8.
  const auto* const second = kExpand.second.data();
  const __m256i begin =
      two_vectors(second + std::popcount(mask & 0xff), second + std::popcount(mask & 0xff0000));
  bytes += std::popcount(mask);
  return _mm256_shuffle_epi8(data, _mm256_add_epi8(shuffle, begin));
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

/// Raw bits of 32 lanes from `first`, when all have some.
template <Ans8Raw kRaw>
inline __m256i plane_bits(const std::uint8_t* planes, int first) {
  const __m256i ones = _mm256_set1_epi8(1);
  __m256i raw = _mm256_setzero_si256();
  if constexpr (kRaw == Ans8Raw::kTwo || kRaw == Ans8Raw::kThree) {
    const __m256i pairs =
        _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(planes)));
    const __m256i shift = first == 0 ? _mm256_setr_epi64x(0, 0, 2, 2) : _mm256_setr_epi64x(4, 4, 6, 6);
    raw = _mm256_and_si256(_mm256_srlv_epi64(pairs, shift), _mm256_set1_epi8(3));
  }
  if constexpr (kRaw == Ans8Raw::kOne || kRaw == Ans8Raw::kThree) {
    std::int64_t word;
    std::memcpy(&word, planes + (kRaw == Ans8Raw::kThree ? 16 : 0), 8);
    const __m256i shift = first == 0 ? _mm256_setr_epi64x(0, 1, 2, 3) : _mm256_setr_epi64x(4, 5, 6, 7);
    const __m256i bits = _mm256_and_si256(_mm256_srlv_epi64(_mm256_set1_epi64x(word), shift), ones);
    raw = kRaw == Ans8Raw::kThree ? _mm256_or_si256(raw, _mm256_slli_epi16(bits, 2)) : bits;
  }
  return raw;
}

/// 32 lanes from `first` of a unit: writes their weights, moves the pointers past what they take (but `raw`
/// when it has planes).
template <Ans8Raw kRaw, bool kLarge>
inline void decode_32(const Ans8Tables& tables, __m256i& low, __m256i& high, const std::uint8_t*& bytes,
                      const std::uint8_t*& raw, int first, std::int8_t* out) {
  const __m256i column = _mm256_and_si256(_mm256_srli_epi16(low, 3), _mm256_set1_epi8(kAns8Columns - 1));
  const __m256i position = _mm256_and_si256(low, _mm256_set1_epi8(kAns8Positions - 1));
  const Index32 by_column(column);
  const __m256i is_own = _mm256_cmpgt_epi8(look_up(Table32(tables.own), by_column), position);
  const __m256i symbol = _mm256_blendv_epi8(look_up(Table32(tables.alias), by_column), column, is_own);
  const __m256i offset = _mm256_andnot_si256(is_own, look_up(Table32(tables.offset), by_column));
  const __m256i number = _mm256_add_epi8(position, offset);
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
  const __m256i odd = _mm256_set1_epi16(-256);
  const __m256i next_low = _mm256_blendv_epi8(next_even, _mm256_slli_epi16(next_odd, 8), odd);
  __m256i next_high = _mm256_blendv_epi8(_mm256_srli_epi16(next_even, 8), next_odd, odd);
  if constexpr (kLarge) {
    const __m256i is_large = _mm256_cmpgt_epi8(_mm256_setzero_si256(), frequency);
    next_high = _mm256_add_epi8(next_high, _mm256_and_si256(is_large, high));
  }
  const __m256i is_short = _mm256_cmpeq_epi8(next_high, _mm256_setzero_si256());
  const auto mask = static_cast<std::uint32_t>(_mm256_movemask_epi8(is_short));
  high = _mm256_blendv_epi8(next_high, next_low, is_short);
  low = _mm256_blendv_epi8(next_low, expand(mask, bytes), is_short);

  if constexpr (kRaw == Ans8Raw::kSome) {
    const __m256i has_raw = look_up(Table32(tables.raw), by_symbol);
    weight = _mm256_add_epi8(weight, expand(static_cast<std::uint32_t>(_mm256_movemask_epi8(has_raw)), raw));
  } else if constexpr (kRaw != Ans8Raw::kNone) {
    weight = _mm256_add_epi8(weight, plane_bits<kRaw>(raw, first));
  }
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + first), weight);
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
      decode_32<kRaw, kLarge>(tables, low, high, at.bytes, at.raw, static_cast<int>(lane), at.out);
      _mm256_store_si256(state(low_bytes + lane), low);
      _mm256_store_si256(state(high_bytes + lane), high);
    }
    if constexpr (kRaw != Ans8Raw::kSome) at.raw += ans8_raw_unit(kRaw);
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

void ans8_lanes_avx2(const Ans8Tables& tables, Ans8States& states, Ans8Cursor& cursor) {
  return tables.large ? decode_kind<true>(tables, states, cursor)
                      : decode_kind<false>(tables, states, cursor);
}

}  // namespace twofold
