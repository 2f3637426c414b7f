#include <algorithm>
#include <bit>
#include <cstdlib>
#include <utility>

#include "base/aligned.h"
#include "base/error.h"
#include "codec/plane_table.h"

namespace twofold {

namespace {

constexpr std::size_t kPlaneAlignment = 32;
constexpr std::size_t kSlack = 8;  // zeros behind the plane: level streams are read in windows of 8 bytes

/// Code of a value: what is stored of it, and what is missing.
struct Coding {
  std::uint8_t low = 0;
  std::uint8_t symbol = 0;
  std::int16_t difference = 0;
};

/// The coding of each weight + 128.
using Codings = std::array<Coding, 256>;

Codings make_codings(const PlaneClass& parameters) {
  Codings codings;
  if (parameters.raw()) return codings;
  const int lows = 1 << parameters.low_bits;
  for (int weight = -128; weight < 128; ++weight) {
    Coding& best = codings[value_index(weight)];
    int distance = 1 << 15;
    for (int symbol = 0; symbol < parameters.symbols; ++symbol) {
      const int first = parameters.base + parameters.values[static_cast<std::size_t>(symbol)];
      const int low = std::clamp(weight - first, 0, lows - 1);
      const int difference = weight - first - low;
      if (std::abs(difference) >= distance) continue;
      distance = std::abs(difference);
      best = {static_cast<std::uint8_t>(low), static_cast<std::uint8_t>(symbol),
              static_cast<std::int16_t>(difference)};
    }
  }
  return codings;
}

/// The code word of each symbol: its root and the bits below it.
struct CodeWord {
  int root = 0;
  int length = 0;  // bits in the level streams
  std::array<bool, kPlaneMaxLevels> bits{};
};

std::array<CodeWord, kPlaneMaxSymbols> make_code_words(const PlaneClass& parameters) {
  std::array<CodeWord, kPlaneMaxSymbols> words;
  for (int symbol = 0; symbol < parameters.symbols; ++symbol) {
    CodeWord& word = words[static_cast<std::size_t>(symbol)];
    while (word.length < parameters.levels &&
           symbol >= parameters.leaves[static_cast<std::size_t>(word.length)]) {
      ++word.length;
    }
    word.root = symbol;
    for (auto j = static_cast<std::size_t>(word.length); j-- > 0;) {
      word.bits[j] = word.root >= parameters.leaves[j] + parameters.step[j];
      if (word.bits[j]) word.root -= parameters.step[j];
    }
  }
  return words;
}

/// Places the codes of a group in its sub-planes.
void put_codes(int bits, const std::array<std::uint8_t, 64>& codes, std::uint8_t* plane) {
  if (bits == 8) {
    std::copy(codes.begin(), codes.end(), plane);
    return;
  }
  int shift = 0;
  for (const int width : {4, 2, 1}) {
    if ((bits & width) == 0) continue;
    const int per_byte = 8 / width;
    const std::size_t bytes = kGroupColumns / static_cast<std::size_t>(per_byte);
    for (std::size_t i = 0; i < codes.size(); ++i) {
      const int field = codes[i] >> shift & ((1 << width) - 1);
      // One bit each: a bitmap in the order of the weights. Else byte i has the weights i, i + bytes, ...
      const std::size_t byte = width == 1 ? i / 8 : i % bytes;
      const auto place = static_cast<int>(width == 1 ? i % 8 : i / bytes);
      plane[byte] = static_cast<std::uint8_t>(plane[byte] | field << (place * width));
    }
    plane += bytes;
    shift += width;
  }
}

class ChunkWriter {
 public:
  explicit ChunkWriter(const PlaneTable& table, std::uint64_t rows, std::size_t row_bytes)
      : table_(table), plane_(rows * row_bytes, 0) {}

  /// Codes up to 64 weights of a class as the next group. `place` counts in rows of whole groups.
  void group(const PlaneClass& parameters, const Codings& codings,
             const std::array<CodeWord, kPlaneMaxSymbols>& words, std::uint64_t place,
             std::span<const std::int8_t> weights) {
    std::array<std::uint8_t, 64> codes{};
    std::array<int, kPlaneMaxLevels> survivors{};
    // All bits of a level precede those of the next group, in the order of the weights.
    for (std::size_t i = 0; i < codes.size(); ++i) {
      const int weight = i < weights.size() ? weights[i] : 0;
      if (parameters.raw()) {
        codes[i] = static_cast<std::uint8_t>(weight);
        continue;
      }
      Coding coding = i < weights.size() ? codings[value_index(weight)] : Coding{};
      const CodeWord* word = &words[coding.symbol];
      if (too_many(survivors, word->length)) {
        coding = shorter(parameters, words, survivors, weight, i < weights.size());
        word = &words[coding.symbol];
      }
      for (int j = 0; j < word->length; ++j) {
        ++survivors[static_cast<std::size_t>(j)];
        level_writers_[static_cast<std::size_t>(j)].put(word->bits[static_cast<std::size_t>(j)] ? 1 : 0, 1);
      }
      codes[i] = static_cast<std::uint8_t>(coding.low | word->root << parameters.low_bits);
      if (coding.difference != 0) differences_.emplace_back(place + i, coding.difference);
    }
    put_codes(parameters.code_bits(), codes, plane_.data() + plane_used_);
    plane_used_ += parameters.group_bytes();
  }

  void finish(std::vector<std::uint8_t>& out) {
    std::sort(differences_.begin(), differences_.end());
    for (const auto& [place, difference] : differences_) correct(place, difference);
    const std::size_t begin = out.size();
    const auto put32 = [&out](std::uint64_t value) {
      for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<std::uint8_t>(value >> shift));
    };
    const auto levels = static_cast<std::size_t>(table_.levels());
    put32(entries_);
    for (std::size_t j = 0; j < levels; ++j) put32(levels_[j].size());
    for (std::size_t j = 0; j < levels; ++j) out.insert(out.end(), levels_[j].begin(), levels_[j].end());
    out.insert(out.end(), corrections_.begin(), corrections_.end());
    out.resize(begin + align_up(out.size() - begin, kPlaneAlignment), 0);
    out.insert(out.end(), plane_.begin(), plane_.end());
    out.resize(out.size() + kSlack, 0);
  }

 private:
  static bool too_many(const std::array<int, kPlaneMaxLevels>& survivors, int length) {
    for (int j = 0; j < length; ++j) {
      if (survivors[static_cast<std::size_t>(j)] >= kPlaneMaxSurvivors) return true;
    }
    return false;
  }

  /// The nearest symbol whose code word still fits into the group.
  static Coding shorter(const PlaneClass& parameters, const std::array<CodeWord, kPlaneMaxSymbols>& words,
                        const std::array<int, kPlaneMaxLevels>& survivors, int weight, bool present) {
    Coding best;
    int distance = 1 << 15;
    for (int symbol = 0; symbol < parameters.symbols; ++symbol) {
      if (too_many(survivors, words[static_cast<std::size_t>(symbol)].length)) continue;
      const int first = parameters.base + parameters.values[static_cast<std::size_t>(symbol)];
      const int low = std::clamp(weight - first, 0, (1 << parameters.low_bits) - 1);
      const int difference = present ? weight - first - low : 0;
      if (std::abs(difference) >= distance) continue;
      distance = std::abs(difference);
      best = {static_cast<std::uint8_t>(low), static_cast<std::uint8_t>(symbol),
              static_cast<std::int16_t>(difference)};
    }
    return best;
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
  std::array<std::vector<std::uint8_t>, kPlaneMaxLevels> levels_;
  std::array<BitWriter, kPlaneMaxLevels> level_writers_{BitWriter(levels_[0]), BitWriter(levels_[1]),
                                                        BitWriter(levels_[2]), BitWriter(levels_[3]),
                                                        BitWriter(levels_[4])};
  std::vector<std::pair<std::uint64_t, int>> differences_;  // by place
  std::vector<std::uint8_t> corrections_;
  BitWriter correction_writer_{corrections_};
  std::uint64_t entries_ = 0;
  std::uint64_t last_ = 0;  // of the last correction
};

std::uint64_t read32(const std::uint8_t* p) {
  return p[0] | p[1] << 8 | p[2] << 16 | static_cast<std::uint64_t>(p[3]) << 24;
}

}  // namespace

void write_plane_chunk(const PlaneTable& table, std::uint64_t rows, std::span<const std::int8_t> weights,
                       std::vector<std::uint8_t>& out) {
  if (rows == 0 || weights.empty()) return;
  const std::size_t cols = weights.size() / rows;
  std::vector<Codings> codings;
  std::vector<std::array<CodeWord, kPlaneMaxSymbols>> words;
  for (const PlaneClass& c : table.classes) {
    codings.push_back(make_codings(c));
    words.push_back(make_code_words(c));
  }
  const bool one = table.classes.size() == 1;
  const std::size_t row_bytes =
      one ? (cols + kGroupColumns - 1) / kGroupColumns * table.classes[0].group_bytes() : table.row_bytes();
  ChunkWriter writer(table, rows, row_bytes);
  const std::size_t stored = (cols + kGroupColumns - 1) / kGroupColumns * kGroupColumns;
  for (std::size_t c = 0; c < table.classes.size(); ++c) {
    const auto begin = one ? 0 : static_cast<std::size_t>(table.columns.begin[c]);
    const std::size_t end = one ? cols : static_cast<std::size_t>(table.columns.begin[c + 1]);
    for (std::uint64_t row = 0; row < rows; ++row) {
      for (std::size_t i = begin; i < end; i += kGroupColumns) {
        writer.group(table.classes[c], codings[c], words[c], row * stored + i,
                     weights.subspan(row * cols + i, std::min<std::size_t>(kGroupColumns, end - i)));
      }
    }
  }
  writer.finish(out);
}

PlaneCursor open_plane_chunk(const PlaneTable& table, std::uint64_t rows, std::uint64_t groups_per_row,
                             std::span<const std::uint8_t> coded) {
  const auto levels = static_cast<std::size_t>(table.levels());
  if (coded.size() < 4 * (levels + 1)) {
    fail("{} bytes, expected a header of {}", coded.size(), 4 * (levels + 1));
  }
  PlaneCursor cursor;
  cursor.corrections_left = read32(coded.data());
  std::size_t at = 4 * (levels + 1);
  for (std::size_t j = 0; j < levels; ++j) {
    cursor.level_bytes[j] = read32(coded.data() + 4 * (j + 1));
    if (cursor.level_bytes[j] > coded.size() - at) {
      fail("level {}: {} bytes, but {} are left", j, cursor.level_bytes[j], coded.size() - at);
    }
    cursor.level[j] = coded.data() + at;
    at += cursor.level_bytes[j];
  }
  // 32 bits times 16 cannot overflow.
  const std::uint64_t correction_bits =
      cursor.corrections_left *
      static_cast<unsigned>(table.corrections().gap_bits + table.corrections().delta_bits);
  if ((correction_bits + 7) / 8 > coded.size() - at) {
    fail("{} corrections, but {} bytes are left", cursor.corrections_left, coded.size() - at);
  }
  cursor.corrections = coded.data() + at;
  at = align_up(at + (correction_bits + 7) / 8, kPlaneAlignment);

  // Rows are at most 2^31 groups of at most 64 bytes, so that a row's size does not overflow, and neither
  // does the number of rows that fit.
  const std::uint64_t row_bytes =
      table.classes.size() == 1 ? groups_per_row * table.classes[0].group_bytes() : table.row_bytes();
  const std::uint64_t left = coded.size() < at + kSlack ? 0 : coded.size() - at - kSlack;
  if (coded.size() < at + kSlack || left % row_bytes != 0 || left / row_bytes != rows) {
    fail("{} bytes behind the streams, expected {} rows of {} and {}",
         coded.size() < at ? 0 : coded.size() - at, rows, row_bytes, kSlack);
  }
  cursor.plane = coded.data() + at;
  return cursor;
}

void check_plane_end(const PlaneTable& table, const PlaneCursor& cursor) {
  for (std::size_t j = 0; j < static_cast<std::size_t>(table.levels()); ++j) {
    if ((cursor.level_bit[j] + 7) / 8 != cursor.level_bytes[j]) {
      fail("level {}: {} bits used of {} bytes", j, cursor.level_bit[j], cursor.level_bytes[j]);
    }
  }
  if (cursor.corrections_left > 0) fail("{} corrections behind the last row", cursor.corrections_left);
}

}  // namespace twofold
