#pragma once

// Writing a chunk of planes, compiled once for any CPU and once with the bit instructions that go with AVX2.
// Internal linkage for that reason.

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/aligned.h"
#include "codec/bit_stream.h"
#include "codec/plane_table.h"
#ifdef __AVX2__
#include "base/simd_x86.h"
#endif

namespace twofold {

namespace {

/// What is stored of a weight.
struct Coding {
  std::uint8_t code = 0;        // for the plane
  std::uint8_t on = 0;          // bit j: takes a bit of level j; kHasDifference
  std::uint8_t bits = 0;        // bit j: which one
  std::int16_t difference = 0;  // what is missing

  /// code, on and bits in one number, so that a weight takes one look-up.
  std::uint32_t together() const { return static_cast<std::uint32_t>(code | on << 8 | bits << 16); }
};
constexpr int kDifferenceBit = 7;
static_assert(kDifferenceBit >= kPlaneMaxLevels);

/// The code words of a class, and the coding of every weight.
class ClassCoder {
 public:
  explicit ClassCoder(const PlaneClass& parameters) : parameters_(parameters) {
    if (parameters.raw()) {
      for (int weight = -128; weight < 128; ++weight)
        codings_[value_index(weight)] = {.code = static_cast<std::uint8_t>(weight)};
    } else {
      absent_ = coding(0, 0, 0);
      code_weights();
    }
    for (std::size_t i = 0; i < together_.size(); ++i) together_[i] = codings_[i].together();
  }

  const PlaneClass& parameters() const { return parameters_; }
  const Coding& of(std::int8_t weight) const { return codings_[value_index(weight)]; }
  std::uint32_t together(std::int8_t weight) const { return together_[value_index(weight)]; }
  /// For the weights that fill up the last group.
  const Coding& absent() const { return absent_; }

  /// With the nearest symbol that takes bits of no level but those of `levels`.
  Coding nearest(int weight, unsigned levels) const {
    Coding best;
    int distance = 1 << 15;
    for (int symbol = 0; symbol < parameters_.symbols; ++symbol) {
      if ((levels_of(symbol) & ~levels) != 0) continue;
      const int first = parameters_.base + parameters_.values[static_cast<std::size_t>(symbol)];
      const int low = std::clamp(weight - first, 0, parameters_.low_count() - 1);
      const int difference = weight - first - low;
      if (std::abs(difference) >= distance) continue;
      distance = std::abs(difference);
      best = coding(symbol, low, difference);
    }
    return best;
  }

 private:
  /// What `nearest` finds, but for all weights at once: those that a symbol stands for, the first one where
  /// there are several, and from each of them on to the others.
  void code_weights() {
    constexpr int kValues = 1024;  // from -128; a table may stand for more than weights can be
    constexpr int kFar = 1 << 14;
    std::array<std::int16_t, kValues> symbol_of;
    symbol_of.fill(-1);
    for (int symbol = parameters_.symbols; symbol-- > 0;) {
      const int first = parameters_.base + parameters_.values[static_cast<std::size_t>(symbol)] + 128;
      for (int at = first; at < std::min(first + parameters_.low_count(), kValues); ++at)
        symbol_of[static_cast<std::size_t>(at)] = static_cast<std::int16_t>(symbol);
    }
    std::array<int, kValues> above;  // the nearest one that is stood for
    for (int at = kValues, last = kFar; at-- > 0;) {
      if (symbol_of[static_cast<std::size_t>(at)] >= 0) last = at;
      above[static_cast<std::size_t>(at)] = last;
    }
    for (int at = 0, below = -kFar; at < 256; ++at) {
      const int up = above[static_cast<std::size_t>(at)];
      if (up == at) below = at;
      const auto symbol = [&](int place) { return int{symbol_of[static_cast<std::size_t>(place)]}; };
      int from = at - below < up - at ? below : up;
      if (at - below == up - at && symbol(below) < symbol(up)) from = below;
      const int first = parameters_.base + parameters_.values[static_cast<std::size_t>(symbol(from))] + 128;
      codings_[static_cast<std::size_t>(at)] = coding(symbol(from), from - first, at - from);
    }
  }

  /// Bit j: its code word goes on at level j.
  unsigned levels_of(int symbol) const {
    unsigned levels = 0;
    for (int j = 0; j < parameters_.levels && symbol >= parameters_.leaves[static_cast<std::size_t>(j)];
         ++j) {
      levels |= 1u << j;
    }
    return levels;
  }

  Coding coding(int symbol, int low, int difference) const {
    Coding result;
    const unsigned levels = levels_of(symbol);
    int root = symbol;
    for (auto j = static_cast<std::size_t>(std::popcount(levels)); j-- > 0;) {
      if (root < parameters_.leaves[j] + parameters_.step[j]) continue;
      root -= parameters_.step[j];
      result.bits = static_cast<std::uint8_t>(result.bits | 1u << j);
    }
    result.on = static_cast<std::uint8_t>(levels | (difference != 0 ? 1u << kDifferenceBit : 0));
    result.code = static_cast<std::uint8_t>(low | root << parameters_.low_bits);
    result.difference = static_cast<std::int16_t>(difference);
    return result;
  }

  const PlaneClass& parameters_;
  std::array<Coding, 256> codings_;
  std::array<std::uint32_t, 256> together_;
  Coding absent_;
};

using Bytes64 = std::array<std::uint8_t, kGroupColumns>;

/// Bit `bit` of each byte.
inline std::uint64_t bitmap(const Bytes64& bytes, int bit) {
#ifdef __AVX2__
  const __m128i shift = _mm_cvtsi32_si128(7 - bit);
  const auto half = [&](std::size_t i) {
    const __m256i part = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(&bytes[i]));
    return static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_sll_epi16(part, shift)));
  };
  return half(0) | static_cast<std::uint64_t>(half(32)) << 32;
#else
  std::uint64_t result = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 8) {
    std::uint64_t eight;
    std::memcpy(&eight, &bytes[i], sizeof eight);
    // The product brings bit 8 i to bit 56 + i, and nothing else there.
    eight = (eight >> bit & 0x0101010101010101) * 0x0102040810204080;
    result |= eight >> 56 << i;
  }
  return result;
#endif
}

/// The bits of `bits` under the mask, side by side.
inline std::uint64_t compress(std::uint64_t bits, std::uint64_t mask) {
#ifdef __BMI2__
  return _pext_u64(bits, mask);
#else
  std::uint64_t result = 0;
  for (int n = 0; mask != 0; mask &= mask - 1, ++n) {
    result |= (bits >> std::countr_zero(mask) & 1) << n;
  }
  return result;
#endif
}

/// Sub-plane of `width` bits (2, 4) of each code, of which they are the lowest above `shift`.
template <int kWidth>
inline std::uint8_t* put_sub_plane(const Bytes64& codes, int shift, std::uint8_t* plane) {
  constexpr std::size_t kBytes = 8 * kWidth;
  for (std::size_t i = 0; i < kBytes; ++i) {
    unsigned byte = 0;
    for (std::size_t part = 0; part < 8 / kWidth; ++part) {
      byte |= (static_cast<unsigned>(codes[part * kBytes + i]) >> shift & ((1u << kWidth) - 1))
              << (part * kWidth);
    }
    plane[i] = static_cast<std::uint8_t>(byte);
  }
  return plane + kBytes;
}

/// Places the codes of a group in its sub-planes.
inline void put_codes(int bits, const Bytes64& codes, std::uint8_t* plane) {
  if (bits == kPlaneRawBits) {
    std::copy(codes.begin(), codes.end(), plane);
    return;
  }
  if ((bits & 4) != 0) plane = put_sub_plane<4>(codes, 0, plane);
  if ((bits & 2) != 0) plane = put_sub_plane<2>(codes, bits & 4, plane);
  if ((bits & 1) != 0) {
    const std::uint64_t map = bitmap(codes, bits - 1);
    for (int i = 0; i < 8; ++i) plane[i] = static_cast<std::uint8_t>(map >> (8 * i));
  }
}

class LevelWriter {
 public:
  /// At most 56 bits.
  void put(std::uint64_t value, int bits) {
    waiting_ |= value << used_;
    for (used_ += bits; used_ >= 8; used_ -= 8, waiting_ >>= 8) {
      bytes_.push_back(static_cast<std::uint8_t>(waiting_));
    }
  }
  /// Fills up the last byte.
  const std::vector<std::uint8_t>& finish() {
    if (used_ > 0) bytes_.push_back(static_cast<std::uint8_t>(waiting_));
    used_ = 0;
    return bytes_;
  }

 private:
  std::vector<std::uint8_t> bytes_;
  std::uint64_t waiting_ = 0;
  int used_ = 0;  // bits, less than 8 between calls
};

class ChunkWriter {
 public:
  explicit ChunkWriter(const PlaneTable& table, std::uint64_t rows, std::size_t row_bytes)
      : table_(table), plane_(rows * row_bytes, 0) {}

  /// Codes up to 64 weights of a class as the next group. `place` counts in rows of whole groups.
  void group(const ClassCoder& coder, std::uint64_t place, std::span<const std::int8_t> weights) {
    const auto levels = static_cast<std::size_t>(coder.parameters().levels);
    Bytes64 codes, on, bits;
    std::array<std::uint32_t, kGroupColumns> together;
    for (std::size_t i = 0; i < weights.size(); ++i) together[i] = coder.together(weights[i]);
    for (std::size_t i = weights.size(); i < together.size(); ++i) together[i] = coder.absent().together();
    for (std::size_t i = 0; i < together.size(); ++i) {
      codes[i] = static_cast<std::uint8_t>(together[i]);
      on[i] = static_cast<std::uint8_t>(together[i] >> 8);
      bits[i] = static_cast<std::uint8_t>(together[i] >> 16);
    }
    LevelMaps maps{};
    for (std::size_t j = 0; j < levels; ++j) {
      maps[j] = bitmap(on, static_cast<int>(j));
      if (std::popcount(maps[j]) > kPlaneMaxSurvivors) return crowded_group(coder, place, weights);
    }
    for (std::uint64_t left = bitmap(on, kDifferenceBit); left != 0; left &= left - 1) {
      const auto i = static_cast<std::size_t>(std::countr_zero(left));
      differences_.emplace_back(place + i, coder.of(weights[i]).difference);
    }
    put_group(coder.parameters(), codes, maps, bits);
  }

  void finish(std::vector<std::uint8_t>& out) {
    std::sort(differences_.begin(), differences_.end());
    for (const auto& [place, difference] : differences_) correct(place, difference);
    const std::size_t begin = out.size();
    const auto put32 = [&out](std::uint64_t value) {
      for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<std::uint8_t>(value >> shift));
    };
    const auto levels = std::span(levels_).first(static_cast<std::size_t>(table_.levels()));
    put32(entries_);
    for (LevelWriter& level : levels) put32(level.finish().size());
    for (LevelWriter& level : levels) out.insert(out.end(), level.finish().begin(), level.finish().end());
    out.insert(out.end(), corrections_.begin(), corrections_.end());
    out.resize(begin + align_up(out.size() - begin, kPlaneAlignment), 0);
    out.insert(out.end(), plane_.begin(), plane_.end());
    out.resize(out.size() + kPlaneSlack, 0);
  }

 private:
  using LevelMaps = std::array<std::uint64_t, kPlaneMaxLevels>;  // the weights that go on

  /// A group of which too many weights go on at some level: the last of them take nearer symbols.
  void crowded_group(const ClassCoder& coder, std::uint64_t place, std::span<const std::int8_t> weights) {
    Bytes64 codes, on, bits;
    std::array<int, kPlaneMaxLevels> survivors{};
    unsigned open = ~0u;
    for (std::size_t i = 0; i < codes.size(); ++i) {
      Coding coding = i < weights.size() ? coder.of(weights[i]) : coder.absent();
      if ((coding.on & ((1u << kPlaneMaxLevels) - 1) & ~open) != 0) {
        coding = coder.nearest(i < weights.size() ? weights[i] : 0, open);
      }
      for (std::size_t j = 0; j < survivors.size(); ++j) {
        if ((coding.on >> j & 1) != 0 && ++survivors[j] == kPlaneMaxSurvivors) open &= ~(1u << j);
      }
      codes[i] = coding.code;
      on[i] = coding.on;
      bits[i] = coding.bits;
      if (coding.difference != 0 && i < weights.size()) {
        differences_.emplace_back(place + i, coding.difference);
      }
    }
    LevelMaps maps{};
    for (std::size_t j = 0; j < maps.size(); ++j) maps[j] = bitmap(on, static_cast<int>(j));
    put_group(coder.parameters(), codes, maps, bits);
  }

  void put_group(const PlaneClass& parameters, const Bytes64& codes, const LevelMaps& maps,
                 const Bytes64& bits) {
    // All bits of a level precede those of the next group, in the order of the weights.
    for (std::size_t j = 0; j < static_cast<std::size_t>(parameters.levels); ++j) {
      levels_[j].put(compress(bitmap(bits, static_cast<int>(j)), maps[j]), std::popcount(maps[j]));
    }
    put_codes(parameters.code_bits(), codes, plane_.data() + plane_used_);
    plane_used_ += parameters.group_bytes();
  }

  void correct(std::uint64_t place, int difference) {
    const std::uint64_t most = (std::uint64_t{1} << table_.corrections().gap_bits) - 1;
    std::uint64_t gap = place - last_;
    last_ = place;
    for (; gap > most; gap -= most) entry(most, 0);
    const int high = (1 << (table_.corrections().delta_bits - 1)) - 1;
    while (difference != 0) {
      const int step = std::clamp(difference, -high - 1, high);
      entry(gap, step);
      difference -= step;
      gap = 0;
    }
  }

  void entry(std::uint64_t gap, int difference) {
    const CorrectionFormat format = table_.corrections();
    correction_writer_.put(static_cast<std::uint32_t>(gap), format.gap_bits);
    correction_writer_.put(static_cast<std::uint32_t>(difference) & ((1u << format.delta_bits) - 1),
                           format.delta_bits);
    ++entries_;
  }

  const PlaneTable& table_;
  std::vector<std::uint8_t> plane_;
  std::size_t plane_used_ = 0;
  std::array<LevelWriter, kPlaneMaxLevels> levels_;
  std::vector<std::pair<std::uint64_t, int>> differences_;  // by place
  std::vector<std::uint8_t> corrections_;
  BitWriter correction_writer_{corrections_};
  std::uint64_t entries_ = 0;
  std::uint64_t last_ = 0;  // of the last correction
};

/// As write_plane_chunk.
inline void write_chunk(const PlaneTable& table, std::uint64_t rows, std::span<const std::int8_t> weights,
                        std::vector<std::uint8_t>& out) {
  if (rows == 0 || weights.empty()) return;
  const std::size_t cols = weights.size() / rows;
  const bool one = table.classes.size() == 1;
  const std::size_t row_bytes =
      one ? (cols + kGroupColumns - 1) / kGroupColumns * table.classes[0].group_bytes() : table.row_bytes();
  ChunkWriter writer(table, rows, row_bytes);
  const std::size_t stored = (cols + kGroupColumns - 1) / kGroupColumns * kGroupColumns;
  for (std::size_t c = 0; c < table.classes.size(); ++c) {
    const ClassCoder coder(table.classes[c]);
    const auto begin = one ? 0 : static_cast<std::size_t>(table.columns.begin[c]);
    const std::size_t end = one ? cols : static_cast<std::size_t>(table.columns.begin[c + 1]);
    for (std::uint64_t row = 0; row < rows; ++row) {
      for (std::size_t i = begin; i < end; i += kGroupColumns) {
        writer.group(coder, row * stored + i,
                     weights.subspan(row * cols + i, std::min<std::size_t>(kGroupColumns, end - i)));
      }
    }
  }
  writer.finish(out);
}

}  // namespace
}  // namespace twofold
