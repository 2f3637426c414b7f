#include "codec/quad_code.h"

#include <algorithm>
#include <functional>

namespace twofold {

namespace {

/// Merges the quads, lightest first, with packages of two of the list before; `is_quad` says which are which.
/// Sums stay below 12 (8 * 4095)^4 < 2^64.
void merge_level(const std::vector<std::uint64_t>& quads, const std::vector<std::uint64_t>& before,
                 std::vector<std::uint64_t>& merged, std::vector<bool>& is_quad) {
  merged.clear();
  const std::size_t packages = before.size() / 2;
  std::size_t i = 0;
  std::size_t p = 0;
  while (i < quads.size() || p < packages) {
    const std::uint64_t package = p < packages ? before[2 * p] + before[2 * p + 1] : 0;
    const bool quad = p == packages || (i < quads.size() && quads[i] <= package);
    merged.push_back(quad ? quads[i++] : package);
    if (!quad) ++p;
    is_quad.push_back(quad);
  }
}

}  // namespace

RankedQuads rank_quads(const QuadClass& parameters) {
  const auto count = static_cast<unsigned>(parameters.quad_count());
  std::vector<std::uint64_t> keys(count);
  for (unsigned i = 0; i < count; ++i) {
    std::uint64_t product = 1;
    for (const std::uint8_t h : quad_symbols(i, static_cast<unsigned>(parameters.symbols))) {
      product *= parameters.frequency[h];
    }
    keys[i] = product << kQuadCodeBits | (kQuadSlots - 1 - i);  // 48 + 12 bits
  }
  std::sort(keys.begin(), keys.end(), std::greater<>());
  RankedQuads ranked;
  ranked.number.reserve(count);
  ranked.product.reserve(count);
  for (const std::uint64_t key : keys) {
    ranked.number.push_back(static_cast<std::uint16_t>(kQuadSlots - 1 - key % kQuadSlots));
    ranked.product.push_back(key >> kQuadCodeBits);
  }
  return ranked;
}

std::vector<std::uint8_t> quad_code_lengths(const RankedQuads& ranked, int count) {
  const auto n = static_cast<std::size_t>(count);
  std::vector<std::uint8_t> lengths(n, 0);
  if (n == 1) return lengths;
  const std::vector<std::uint64_t> quads(ranked.product.rend() - count, ranked.product.rend());
  std::array<std::vector<bool>, kQuadCodeBits> is_quad;
  std::vector<std::uint64_t> before;
  std::vector<std::uint64_t> merged;
  for (std::vector<bool>& level : is_quad) {
    merge_level(quads, before, merged, level);
    before.swap(merged);
  }
  std::size_t take = 2 * n - 2;
  for (std::size_t level = is_quad.size(); level-- > 0;) {
    std::size_t taken = 0;  // quads, the lightest ones
    for (std::size_t i = 0; i < take; ++i) taken += is_quad[level][i] ? 1 : 0;
    for (std::size_t i = 0; i < taken; ++i) ++lengths[n - 1 - i];
    take = 2 * (take - taken);
  }
  return lengths;
}

std::vector<QuadWord> quad_words(const QuadClass& parameters) {
  const RankedQuads ranked = rank_quads(parameters);
  const std::vector<std::uint8_t> lengths = quad_code_lengths(ranked, parameters.quads);
  std::vector<QuadWord> words(ranked.number.size());
  // Canonical: numbers count up in the order of the ranks, and grow by zeros where words get longer.
  unsigned code = 0;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    if (i > 0) code = (code + 1) << (lengths[i] - lengths[i - 1]);
    unsigned reversed = 0;
    for (int b = 0; b < lengths[i]; ++b) reversed |= (code >> b & 1) << (lengths[i] - 1 - b);
    words[ranked.number[i]] = {static_cast<std::uint16_t>(reversed), lengths[i], true};
  }
  return words;
}

std::vector<std::uint32_t> quad_lookup(const QuadClass& parameters) {
  std::vector<std::uint32_t> lookup(kQuadSlots, 0);
  const std::vector<QuadWord> words = quad_words(parameters);
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (!words[i].coded) continue;
    std::uint32_t entry = words[i].length;
    int shift = 5;
    for (const std::uint8_t h :
         quad_symbols(static_cast<unsigned>(i), static_cast<unsigned>(parameters.symbols))) {
      entry |= static_cast<std::uint32_t>(h) << shift;
      shift += 8;
    }
    for (std::size_t slot = words[i].bits; slot < kQuadSlots; slot += std::size_t{1} << words[i].length) {
      lookup[slot] = entry;
    }
  }
  return lookup;
}

}  // namespace twofold
