// The codec `quad`: its code, and the lanes of a warp against the scalar reference on any table and any
// bytes.

#include <gtest/gtest.h>

#include "base/error.h"
#include "codec/builtin.h"
#include "codec/entropy.h"
#include "codec/quad_code.h"
#include "codec/quad_decoder.h"
#include "codec/test_lanes.h"

namespace twofold {
namespace {

int below(Random& random, int n) {
  return static_cast<int>(random.below(static_cast<std::uint64_t>(n)));
}

/// Any class a table can describe.
QuadClass random_class(Random& random) {
  QuadClass c;
  c.low_bits = below(random, kQuadMaxLowBits + 1);
  c.symbols = 1 + below(random, kQuadMaxSymbols);
  c.base = -128 + below(random, 257 - (c.symbols << c.low_bits));
  c.base = std::min(c.base, 127);
  c.gap_bits = 1 + below(random, kQuadMaxGapBits);
  c.delta_bits = kQuadMinDeltaBits + below(random, kQuadMaxDeltaBits - kQuadMinDeltaBits + 1);
  c.quads = 1 + below(random, random.below(2) == 0 ? std::min(20, c.quad_count()) : c.quad_count());
  for (std::uint16_t& f : c.frequency) {
    f = static_cast<std::uint16_t>(1 + below(random, random.below(2) == 0 ? 20 : kQuadMaxFrequency));
  }
  return c;
}

struct RandomMatrix {
  std::vector<std::uint8_t> table;
  Weights weights;
  std::size_t rows;
  std::int64_t cols;
};

RandomMatrix random_matrix(Random& random) {
  QuadTable table;
  table.tile_groups = 1 + random.below(4);
  table.columns.begin = {0};
  const std::size_t classes = 1 + random.below(3);
  for (std::size_t c = 0; c < classes; ++c) {
    const auto groups = static_cast<std::int64_t>(1 + random.below(5));
    table.columns.begin.push_back(table.columns.begin.back() + groups * kGroupColumns);
    table.classes.push_back(random_class(random));
  }
  // The last group may be broken.
  table.columns.begin.back() -= below(random, 64);
  for (std::int32_t i = 0; classes > 1 && i < table.columns.begin.back(); ++i) {
    table.columns.order.push_back(i);
  }
  RandomMatrix result;
  result.cols = table.columns.begin.back();
  result.rows = 1 + random.below(40);
  write_quad_table(table, result.table);
  const double deviation = random.below(2) == 0 ? 3 : 40;
  for (std::size_t i = 0; i < result.rows * static_cast<std::size_t>(result.cols); ++i) {
    result.weights.push_back(clamp_weight(table.classes[0].base + normal(random) * deviation));
  }
  return result;
}

const std::vector<NamedDecoder>& decoders() {
  static const std::vector<NamedDecoder> all = [] {
    std::vector<NamedDecoder> list;
    for (const auto path : {QuadDecoder::Path::kReference, QuadDecoder::Path::kLanes}) {
      list.push_back({path == QuadDecoder::Path::kReference ? "reference" : "lanes",
                      [path](std::span<const std::uint8_t> table, std::int64_t cols) {
                        return std::make_unique<QuadDecoder>(table, cols, path);
                      }});
    }
    return list;
  }();
  return all;
}

TEST(Quad, WordsOfAnyFrequenciesFillTheTableOnceAndRareOnesAreNotShorter) {
  Random random(1);
  for (int trial = 0; trial < 30; ++trial) {
    const QuadClass c = random_class(random);
    const RankedQuads ranked = rank_quads(c);
    const std::vector<std::uint8_t> lengths = quad_code_lengths(ranked, c.quads);
    std::size_t slots = 0;
    for (const std::uint8_t length : lengths) slots += kQuadSlots >> length;
    EXPECT_EQ(slots, kQuadSlots);
    EXPECT_TRUE(std::is_sorted(lengths.begin(), lengths.end()));
    EXPECT_LE(lengths.back(), kQuadCodeBits);
  }
}

TEST(Quad, LengthsAreThoseOfHuffmanWhereTwelveBitsAreEnough) {
  // Two symbols, 1 : 3. Huffman's code of the 16 products 81, 27 (4), 9 (6), 3 (4), 1.
  QuadClass c;
  c.symbols = 2;
  c.quads = 16;
  c.frequency = {3, 1};
  const std::vector<std::uint8_t> lengths = quad_code_lengths(rank_quads(c), c.quads);
  const std::array<std::uint64_t, 16> weights{81, 27, 27, 27, 27, 9, 9, 9, 9, 9, 9, 3, 3, 3, 3, 1};
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < 16; ++i) bits += weights[i] * lengths[i];
  std::vector<std::uint64_t> nodes(weights.begin(), weights.end());
  std::uint64_t huffman = 0;
  while (nodes.size() > 1) {
    std::sort(nodes.begin(), nodes.end(), std::greater<>());
    const std::uint64_t sum = nodes[nodes.size() - 1] + nodes[nodes.size() - 2];
    nodes.resize(nodes.size() - 2);
    nodes.push_back(sum);
    huffman += sum;
  }
  EXPECT_EQ(bits, huffman);
}

TEST(Quad, IsWithinSixPercentOfTheEntropy) {
  const auto over = [](const Weights& weights) {
    const std::vector<std::uint8_t> table = quad_codec().make_table(weights, 2048);
    std::vector<std::uint8_t> coded;
    quad_codec().encode(table, weights, 2048, coded);
    Histogram histogram{};
    count_values(weights, histogram);
    return 8.0 * static_cast<double>(table.size() + coded.size()) / static_cast<double>(weights.size()) /
               order0_entropy(histogram) -
           1;
  };
  constexpr std::size_t kCount = 64 * 2048;
  EXPECT_LT(over(gaussian(kCount, 1.28)), 0.047);  // 2.4 bits
  EXPECT_LT(over(gaussian(kCount, 2.93)), 0.042);  // 3.6
  EXPECT_LT(over(gaussian(kCount, 7.7)), 0.03);    // 5.0
  EXPECT_LT(over(make_source("laplace 2", kCount)), 0.06);
  EXPECT_LT(over(channel_matrix(64, 2048)), 0.01);
}

TEST(Quad, LanesGiveBackWhatAnyTableCodes) {
  Random random(2);
  for (int trial = 0; trial < 60; ++trial) {
    SCOPED_TRACE(trial);
    const RandomMatrix m = random_matrix(random);
    std::vector<std::uint8_t> coded;
    quad_codec().encode(m.table, m.weights, m.cols, coded);
    EXPECT_EQ(try_all(decoders(), m.table, m.cols, coded, m.weights.size()), m.weights);
  }
}

TEST(Quad, LanesTakeBrokenStreamsAsTheReferenceDoes) {
  Random random(3);
  int decoded = 0;
  for (int trial = 0; trial < 60; ++trial) {
    SCOPED_TRACE(trial);
    const RandomMatrix m = random_matrix(random);
    std::vector<std::uint8_t> coded;
    quad_codec().encode(m.table, m.weights, m.cols, coded);
    // Mostly in the planes and streams, where not every change is an error.
    for (std::uint64_t changes = 1 + random.below(3); changes > 0; --changes) {
      coded[coded.size() / 8 + random.below(coded.size() - coded.size() / 8)] ^=
          static_cast<std::uint8_t>(1 + random.below(255));
    }
    decoded += try_all(decoders(), m.table, m.cols, coded, m.weights.size()).has_value() ? 1 : 0;
  }
  EXPECT_GT(decoded, 5);
  EXPECT_LT(decoded, 55);
}

TEST(Quad, LanesMultiplyFromTheCodedWeights) {
  constexpr int kVectors = 3;
  Random random(4);
  for (int trial = 0; trial < 40; ++trial) {
    SCOPED_TRACE(trial);
    const RandomMatrix m = random_matrix(random);
    std::vector<std::uint8_t> coded;
    quad_codec().encode(m.table, m.weights, m.cols, coded);
    const QuadDecoder decoder(m.table, m.cols, QuadDecoder::Path::kLanes);
    const std::size_t stride = decoder.table().row_groups() * kGroupColumns;
    const auto cols = static_cast<std::size_t>(m.cols);
    std::vector<std::int8_t> x(kVectors * stride, 0);
    for (std::size_t i = 0; i < x.size(); ++i)
      x[i] = i % stride < cols ? clamp_weight(normal(random) * 40) : std::int8_t{0};
    std::vector<std::int32_t> sums(kVectors * m.rows, 0);
    for (const QuadDecoder::OpenTile& open : decoder.open(coded, m.rows)) {
      const device::QuadClassView c = decoder.class_view(open.tile.c);
      std::uint32_t start = 0;
      for (std::uint32_t lane = 0; lane < open.tile.lanes(); ++lane) {
        const std::uint32_t length = device::quad_lane_bits(open.view, lane);
        device::QuadDot<kVectors> dot(x.data() + open.tile.column, stride, lane);
        ASSERT_TRUE(device::quad_lane_any(c, open.view, lane, start, length, dot));
        start += length;
        for (int v = 0; v < kVectors; ++v) {
          // Every lane adds the base for its own columns.
          std::int32_t own = 0;
          for (std::size_t i = lane % 4 * 4; i < open.tile.groups * kGroupColumns; i += 16) {
            for (std::size_t j = 0; j < 4; ++j)
              own += x[static_cast<std::size_t>(v) * stride + open.tile.column + i + j];
          }
          const std::size_t row = static_cast<std::size_t>(v) * m.rows + open.tile.row + lane / 4;
          sums[row] += dot.sum(v, c.low_bits) + c.base * own;
          if (lane / 4 + 8 < open.tile.rows) sums[row + 8] += dot.sum8(v, c.low_bits) + c.base * own;
        }
      }
    }
    for (std::size_t v = 0; v < kVectors; ++v) {
      for (std::size_t row = 0; row < m.rows; ++row) {
        std::int32_t expected = 0;
        for (std::size_t i = 0; i < cols; ++i) expected += m.weights[row * cols + i] * x[v * stride + i];
        ASSERT_EQ(sums[v * m.rows + row], expected) << "vector " << v << ", row " << row;
      }
    }
  }
}

TEST(Quad, TablesOutOfBoundsAreErrors) {
  const std::vector<std::uint8_t> good{1, 1, 0x10, 0, 0x21, 16, 0, 1, 0, 1, 0};  // two symbols, all quads
  EXPECT_NO_THROW(QuadDecoder(good, 64, QuadDecoder::Path::kLanes));
  const auto bad = [&](std::size_t at, std::uint8_t value) {
    std::vector<std::uint8_t> table = good;
    table[at] = value;
    EXPECT_THROW(QuadDecoder(table, 64, QuadDecoder::Path::kLanes), Error) << at << ": " << int{value};
  };
  bad(0, 0);     // tiles without groups
  bad(0, 33);    // too many
  bad(1, 0);     // no classes
  bad(1, 17);    // too many
  bad(2, 0x16);  // 6 low bits
  bad(2, 0x80);  // 9 symbols
  bad(3, 127);   // a value of 128
  bad(4, 0x20);  // no gap bits
  bad(4, 0x2c);  // 12 gap bits
  bad(4, 0x11);  // 1 difference bit
  bad(4, 0xa1);  // 10
  bad(5, 0);     // no quads
  bad(5, 17);    // more than there are
  bad(7, 0);     // a frequency of 0
  bad(8, 0x10);  // of 4097
}

}  // namespace
}  // namespace twofold
