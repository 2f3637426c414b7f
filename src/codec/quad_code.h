#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "codec/quad_table.h"

namespace twofold {

/// The quads of symbols h[0] ... h[3] of a class by falling product of their frequencies, equal ones by
/// rising number h[0] + m h[1] + m^2 h[2] + m^3 h[3], where m is the number of symbols.
struct RankedQuads {
  std::vector<std::uint16_t> number;
  std::vector<std::uint64_t> product;
};
RankedQuads rank_quads(const QuadClass& parameters);

/// Bits of the code word of each of the first `count` (at least 1) ranked quads, rising: the shortest code
/// without words of more than 12 bits, by package-merge (Larmore and Hirschberg 1990).
std::vector<std::uint8_t> quad_code_lengths(const RankedQuads& ranked, int count);

/// The symbols of a quad.
inline std::array<std::uint8_t, 4> quad_symbols(unsigned number, unsigned symbols) {
  std::array<std::uint8_t, 4> h;
  for (std::uint8_t& symbol : h) {
    symbol = static_cast<std::uint8_t>(number % symbols);
    number /= symbols;
  }
  return h;
}

/// A code word as it stands in the stream, its first bit the lowest one.
struct QuadWord {
  std::uint16_t bits = 0;
  std::uint8_t length = 0;
  bool coded = false;
};

/// The code words by number of the quad.
std::vector<QuadWord> quad_words(const QuadClass& parameters);

/// By the next 12 bits of a stream: the length of the code word in bits 0-4, its symbols in bits 5-7, 13-15,
/// 21-23 and 29-31, so that masked they are the high bits of four bytes.
std::vector<std::uint32_t> quad_lookup(const QuadClass& parameters);

}  // namespace twofold
