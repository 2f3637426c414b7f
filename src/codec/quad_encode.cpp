#include <algorithm>
#include <cstring>

#include "codec/device/quad_lane.h"
#include "codec/quad_planner.h"
#include "codec/quad_table.h"

namespace twofold {

namespace {

/// A class in the form that coding needs.
struct ClassCoder {
  explicit ClassCoder(const QuadClass& c)
      : parameters(c), words(quad_words(c)), stand_ins(quad_stand_ins(c, words)) {
    for (int v = -128; v < 128; ++v) {
      symbol[static_cast<std::uint8_t>(v)] = static_cast<std::uint8_t>(quad_symbol(c, v));
    }
  }

  QuadClass parameters;
  std::vector<QuadWord> words;
  std::vector<std::uint16_t> stand_ins;
  std::array<std::uint8_t, 256> symbol{};  // by weight
};

/// Bits of fields of up to 12 bits, in words.
class WordWriter {
 public:
  explicit WordWriter(std::vector<std::uint8_t>& out) : out_(out) {}

  void put(unsigned value, int bits) {
    pending_ |= static_cast<std::uint64_t>(value & ((1U << bits) - 1)) << used_;
    used_ += bits;
    total_ += static_cast<std::size_t>(bits);
    if (used_ >= 32) flush(32);
  }
  void finish() {
    if (used_ > 0) flush(used_);
  }
  std::size_t bits() const { return total_; }

 private:
  void flush(int bits) {
    for (int i = 0; i < 4; ++i) out_.push_back(static_cast<std::uint8_t>(pending_ >> (8 * i)));
    pending_ >>= 32;
    used_ -= bits;
  }

  std::vector<std::uint8_t>& out_;
  std::uint64_t pending_ = 0;
  int used_ = 0;
  std::size_t total_ = 0;
};

void put_corrections(const QuadClass& c, std::span<const std::int16_t> differences, WordWriter& out) {
  const std::size_t bridge = (std::size_t{1} << c.gap_bits) - 1;
  const int half = 1 << (c.delta_bits - 1);
  std::size_t next = 0;
  const auto put_gap = [&](std::size_t gap) {
    for (; gap >= bridge; gap -= bridge) out.put(static_cast<unsigned>(bridge), c.gap_bits);
    return gap;
  };
  for (std::size_t i = 0; i < differences.size(); ++i) {
    const int difference = differences[i];
    if (difference == 0) continue;
    out.put(static_cast<unsigned>(put_gap(i - next)), c.gap_bits);
    if (difference >= -half && difference < half) {
      out.put(static_cast<unsigned>(difference), c.delta_bits);
    } else {
      out.put(0, c.delta_bits);
      out.put(static_cast<unsigned>(difference), kQuadLongDeltaBits);
    }
    next = i + 1;
  }
  if (next == differences.size()) return;
  const std::size_t rest = put_gap(differences.size() - next);
  if (rest > 0) out.put(static_cast<unsigned>(rest), c.gap_bits);
}

void put_lengths(const std::vector<std::size_t>& lengths, std::vector<std::uint8_t>& out) {
  const auto [least, most] = std::minmax_element(lengths.begin(), lengths.end());
  const int width = *most == *least ? 0 : *most - *least < 256 ? 1 : 2;
  const auto put = [&](std::size_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  };
  put(*least, 2);
  put(static_cast<std::size_t>(width), 2);
  for (const std::size_t length : lengths) put(length - *least, width);
}

/// The rows of a tile, padded to whole groups.
struct TileWeights {
  std::array<const std::int8_t*, kQuadTileRows> row;
  std::size_t columns;  // that there are

  /// Columns that are not there are coded as the most frequent symbol.
  bool has(std::size_t column) const { return column < columns; }
};

/// Values of the low planes and differences come from the symbols that were coded.
void put_tile(const ClassCoder& coder, const QuadTile& tile, const TileWeights& weights,
              std::vector<std::uint8_t>& out) {
  const QuadClass& c = coder.parameters;
  const auto m = static_cast<unsigned>(c.symbols);
  const std::size_t lanes = tile.lanes();
  const std::size_t quads = 4 * tile.groups;  // of a row in a lane
  const int low_mask = (1 << c.low_bits) - 1;
  const auto mode = static_cast<int>(std::max_element(c.frequency.begin(), c.frequency.begin() + c.symbols) -
                                     c.frequency.begin());
  const int fill = c.base + (mode << c.low_bits);

  std::vector<std::uint8_t> streams;
  std::vector<std::size_t> lengths(lanes);
  std::vector<std::uint8_t> planes(
      4 * device::quad_low_words(static_cast<std::uint32_t>(tile.rows),
                                 static_cast<std::uint32_t>(tile.groups), c.low_bits),
      0);
  WordWriter bits(streams);
  std::vector<std::int16_t> differences;
  for (std::size_t lane = 0; lane < lanes; ++lane) {
    const std::size_t bits_before = bits.bits();
    const std::size_t t = lane % 4;
    differences.clear();
    for (std::size_t s = 0; s < quads; ++s) {
      for (std::size_t row = lane / 4; row < tile.rows; row += 8) {
        std::array<int, 4> w;
        unsigned number = 0;
        for (std::size_t i = 4; i-- > 0;) {
          const std::size_t column = 16 * s + 4 * t + i;
          w[i] = weights.has(column) ? weights.row[row][column] : fill;
          number = number * m + coder.symbol[static_cast<std::uint8_t>(w[i])];
        }
        const unsigned coded = coder.stand_ins[number];
        bits.put(coder.words[coded].bits, coder.words[coded].length);
        const auto symbols = quad_symbols(coded, m);
        std::size_t plane = 0;
        std::array<unsigned, 4> low;
        for (std::size_t i = 0; i < 4; ++i) {
          const int value = nearest_quad_value(c, w[i], symbols[i]);
          low[i] = static_cast<unsigned>(value & low_mask);
          differences.push_back(static_cast<std::int16_t>(w[i] - c.base - value));
        }
        for (const unsigned width : {4U, 2U, 1U}) {
          if ((static_cast<unsigned>(c.low_bits) & width) == 0) continue;
          const std::size_t per_word = 8 / width;
          const std::size_t word = ((s / per_word) * tile.rows + row) * 4 + t;
          for (std::size_t i = 0; i < 4; ++i) {
            const unsigned field = low[i] & ((1U << width) - 1);
            low[i] >>= width;
            std::uint8_t& byte = planes[plane + 4 * word + i];
            byte = static_cast<std::uint8_t>(byte | field << (width * (s % per_word)));
          }
          plane += 4 * ((tile.groups * width + 1) / 2) * 4 * tile.rows;
        }
      }
    }
    put_corrections(c, differences, bits);
    lengths[lane] = bits.bits() - bits_before;
  }
  bits.finish();
  put_lengths(lengths, out);
  out.insert(out.end(), planes.begin(), planes.end());
  out.insert(out.end(), streams.begin(), streams.end());
}

}  // namespace

void write_quad_chunk(const QuadTable& table, std::size_t rows, std::span<const std::int8_t> weights,
                      std::vector<std::uint8_t>& out) {
  const std::size_t cols = weights.size() / rows;
  std::vector<ClassCoder> coders;
  for (const QuadClass& c : table.classes) coders.emplace_back(c);
  const std::vector<QuadTile> tiles = quad_tiles(table, rows);
  const std::size_t header = out.size();
  out.resize(header + 4 * tiles.size());
  const std::size_t begin = out.size();
  for (std::size_t i = 0; i < tiles.size(); ++i) {
    const QuadTile& tile = tiles[i];
    TileWeights part{{}, cols - tile.column};
    for (std::size_t r = 0; r < tile.rows; ++r) {
      part.row[r] = weights.data() + (tile.row + r) * cols + tile.column;
    }
    put_tile(coders[tile.c], tile, part, out);
    const auto end = static_cast<std::uint32_t>(out.size() - begin);
    std::memcpy(out.data() + header + 4 * i, &end, sizeof end);
  }
}

}  // namespace twofold
