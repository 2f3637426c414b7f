// The layout behind `packed` and `tiered`: every instruction set against the scalar reference, sizes, broken
// input.

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>

#include "base/error.h"
#include "codec/codec.h"
#include "codec/entropy.h"
#include "codec/plane_decoder.h"
#include "codec/plane_planner.h"
#include "codec/test_lanes.h"

namespace twofold {

const PlaneRows& plane_rows_avx512_emulated();  // see extra.cmake

namespace {

struct NamedRows {
  std::string name;
  const PlaneRows* rows;
};

/// Every table this machine can run, the scalar one first.
std::vector<NamedRows> all_rows() {
  std::vector<NamedRows> all;
  for (const Isa isa : available_isas()) all.push_back({std::string(isa_name(isa)), &plane_rows(isa)});
#if defined(__x86_64__)
  all.push_back({"avx512 emulated", &plane_rows_avx512_emulated()});
#endif
  return all;
}

/// A random code of the kind a PlaneClass can describe: any bits, levels and values.
PlaneClass random_class(Random& random) {
  const auto below = [&](int n) { return static_cast<int>(random.next() % static_cast<unsigned>(n)); };
  for (;;) {
    PlaneClass c;
    c.low_bits = below(9);
    if (c.raw()) return c;
    c.root_bits = below(6);
    if (c.code_bits() < 1 || c.code_bits() > 8) continue;
    c.base = below(256) - 128;
    if (c.root_bits == 0) return c;
    c.levels = below(kPlaneMaxLevels + 1);
    int first = 0;
    int nodes = 1 << c.root_bits;
    for (int j = 0; j < c.levels; ++j) {
      // Often such that who goes on follows from the level before: all again, or those whose bit was 1.
      const int follows = j == 0 ? 2 : below(4);
      const int leaves =
          nodes == 0 || follows == 0 ? first : first + (follows == 1 ? nodes / 2 : 1 + below(nodes));
      c.leaves[static_cast<std::size_t>(j)] = static_cast<std::uint8_t>(leaves);
      nodes = 2 * (first + nodes - leaves);
      first = leaves;
    }
    if (!c.finish_code()) continue;
    for (int i = 0; i < c.symbols; ++i) {
      c.values[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(below(129 - c.low_count()));
    }
    c.finish_values();
    return c;
  }
}

PlaneTable random_table(Random& random, std::size_t classes) {
  PlaneTable table;
  table.columns.begin = {0};
  for (std::size_t c = 0; c < classes; ++c) {
    const auto groups = static_cast<std::int64_t>(1 + random.next() % 5);
    table.columns.begin.push_back(table.columns.begin.back() + groups * kGroupColumns);
    table.classes.push_back(random_class(random));
  }
  // In the order of the classes already: the map is not used by the loops.
  table.correction_format = random.next() % kCorrectionFormats.size();
  return table;
}

Weights decode_rows(const PlaneTable& table, const PlaneRows& rows, std::size_t count,
                    std::span<const std::uint8_t> coded) {
  PlaneCursor cursor = open_plane_chunk(table, count, table.row_groups(), coded);
  const std::size_t width = table.row_groups() * kGroupColumns;
  Weights out(count * width);
  decode_plane_rows(table, rows, cursor, count, out.data());
  return out;
}

TEST(Planes, EveryInstructionSetDecodesAnyCode) {
  Random random(1);
  for (int trial = 0; trial < 300; ++trial) {
    SCOPED_TRACE(trial);
    const PlaneTable table = random_table(random, 1 + random.next() % 3);
    const auto cols = static_cast<std::size_t>(table.columns.begin.back());
    const std::size_t rows = 1 + random.next() % 4;
    // Near the bases, so that corrections are neither rare nor the rule.
    Weights weights(rows * cols);
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const auto column = static_cast<std::int64_t>(i % cols);
      std::size_t c = 0;
      while (column >= table.columns.begin[c + 1]) ++c;
      weights[i] = clamp_weight(table.classes[c].base + 4 * normal(random) + 3);
    }
    std::vector<std::uint8_t> coded;
    write_plane_chunk(table, rows, weights, coded);
    for (const Isa isa : available_isas()) {
      std::vector<std::uint8_t> again;
      write_plane_chunk(table, rows, weights, again, isa);
      EXPECT_EQ(again, coded) << isa_name(isa);
    }
    const std::vector<std::uint8_t> bytes = exact(coded);
    for (const NamedRows& named : all_rows()) {
      EXPECT_EQ(decode_rows(table, *named.rows, rows, bytes), weights) << named.name;
    }
  }
}

TEST(Planes, EveryInstructionSetDecodesBrokenStreamsAlike) {
  Random random(2);
  for (int trial = 0; trial < 300; ++trial) {
    SCOPED_TRACE(trial);
    const PlaneTable table = random_table(random, 1 + random.next() % 3);
    const std::size_t rows = 1 + random.next() % 4;
    const Weights weights =
        gaussian(rows * static_cast<std::size_t>(table.columns.begin.back()), 9, random.next());
    std::vector<std::uint8_t> coded;
    write_plane_chunk(table, rows, weights, coded);
    // Sizes stay as they are; everything behind them is noise, on the heap with nothing behind it.
    std::vector<std::uint8_t> bytes = exact(coded);
    const std::size_t header = 4 * (static_cast<std::size_t>(table.levels()) + 1);
    for (std::size_t i = header; i < bytes.size(); ++i) {
      if (random.next() % 4 != 0) bytes[i] = static_cast<std::uint8_t>(trial % 3 == 0 ? 0xff : random.next());
    }
    const Weights expected = decode_rows(table, plane_rows_scalar(), rows, bytes);
    for (const NamedRows& named : all_rows()) {
      EXPECT_EQ(decode_rows(table, *named.rows, rows, bytes), expected) << named.name;
    }
  }
}

TEST(Planes, EveryInstructionSetSpreadsNonzeros) {
  Random random(3);
  for (const std::size_t count : {64, 128, 1024}) {
    std::vector<std::uint8_t> mask(count / 8);
    for (std::uint8_t& byte : mask) byte = static_cast<std::uint8_t>(random.next());
    const Weights nonzero = gaussian(count + 64, 20);
    Weights expected(count);
    plane_rows_scalar().spread(mask.data(), nonzero.data(), count, expected.data());
    for (const NamedRows& named : all_rows()) {
      Weights out(count, 1);
      named.rows->spread(mask.data(), nonzero.data(), count, out.data());
      EXPECT_EQ(out, expected) << named.name;
    }
  }
}

TEST(Planes, TablesSurviveWritingAndReading) {
  Random random(4);
  for (int trial = 0; trial < 100; ++trial) {
    PlaneTable table = random_table(random, 1 + random.next() % 4);
    table.columns.order.resize(static_cast<std::size_t>(table.columns.begin.back()));
    std::iota(table.columns.order.begin(), table.columns.order.end(), 0);
    std::vector<std::uint8_t> bytes;
    write_plane_table(table, bytes);
    std::span<const std::uint8_t> rest = bytes;
    const PlaneTable read = read_plane_table(rest, table.columns.begin.back());
    EXPECT_TRUE(rest.empty());
    std::vector<std::uint8_t> again;
    write_plane_table(read, again);
    EXPECT_EQ(again, bytes);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      const std::vector<std::uint8_t> cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
      rest = cut;
      EXPECT_THROW(read_plane_table(rest, table.columns.begin.back()), Error) << size;
    }
  }
}

double bits_per_weight(std::string_view codec_name, const Weights& weights, std::int64_t cols) {
  const Codec& codec = find_codec(codec_name);
  const std::vector<std::uint8_t> table = codec.make_table(weights, cols);
  std::size_t bytes = table.size();
  const std::size_t rows = 65536 / static_cast<std::size_t>(cols);
  const std::size_t size = rows * static_cast<std::size_t>(cols);
  for (std::size_t begin = 0; begin < weights.size(); begin += size) {
    std::vector<std::uint8_t> chunk;
    codec.encode(table, std::span(weights).subspan(begin, std::min(size, weights.size() - begin)), cols,
                 chunk);
    bytes += chunk.size();
  }
  return static_cast<double>(bytes) * 8 / static_cast<double>(weights.size());
}

double entropy(const Weights& weights) {
  Histogram histogram{};
  count_values(weights, histogram);
  return order0_entropy(histogram);
}

TEST(Tiered, StaysNearTheEntropyOfPlainSources) {
  Random random(5);
  for (const double deviation : {1.2, 1.6, 2.4, 2.93, 4.0, 6.0, 8.0, 11.0}) {
    const Weights gauss = gaussian(1 << 18, deviation);
    const double entropy_of_gauss = entropy(gauss);
    EXPECT_LT(bits_per_weight("tiered", gauss, 1024),
              entropy_of_gauss * (entropy_of_gauss < 3.3 ? 1.07 : 1.05))
        << "gauss " << deviation;
    const Weights tailed = draw(1 << 18, [&] { return clamp_weight(deviation * 0.8 * laplace(random)); });
    const double entropy_of_tailed = entropy(tailed);
    EXPECT_LT(bits_per_weight("tiered", tailed, 1024),
              entropy_of_tailed * (entropy_of_tailed < 3.3 ? 1.07 : 1.05))
        << "laplace " << deviation;
  }
}

TEST(Tiered, ClassesGoBelowTheEntropyOfTheWholeMatrix) {
  Random random(6);
  constexpr std::size_t kCols = 1024;
  std::vector<double> deviation(kCols);
  for (double& d : deviation) d = 2.5 * std::exp(0.5 * normal(random));
  Weights weights(256 * kCols);
  for (std::size_t i = 0; i < weights.size(); ++i)
    weights[i] = clamp_weight(deviation[i % kCols] * normal(random));
  EXPECT_LT(bits_per_weight("tiered", weights, kCols), entropy(weights));
  EXPECT_LT(bits_per_weight("packed", weights, kCols), 1.22 * entropy(weights));
}

TEST(Tiered, PrunedWeightsCostLittleMoreThanTheirEntropy) {
  for (const int threshold : {2, 5}) {  // 20 % and 40 % zeros
    Weights weights = gaussian(1 << 18, 9);
    for (std::int8_t& w : weights) w = std::abs(int{w}) <= threshold ? std::int8_t{0} : w;
    EXPECT_LT(bits_per_weight("tiered", weights, 1024), 1.04 * entropy(weights)) << threshold;
  }
}

TEST(Planes, BrokenChunksAreErrorsOrOtherWeightsButNeverMore) {
  Random random(7);
  for (const char* name : {"packed", "tiered"}) {
    const Codec& codec = find_codec(name);
    for (const std::string& source :
         {std::string("gauss 3"), std::string("pruned"), std::string("heavy tails")}) {
      SCOPED_TRACE(std::string(name) + ", " + source);
      constexpr std::int64_t kCols = 200;
      const Weights weights = make_source(source, 8 * kCols);
      const std::vector<std::uint8_t> table = codec.make_table(weights, kCols);
      std::vector<std::uint8_t> chunk;
      codec.encode(table, weights, kCols, chunk);
      const std::unique_ptr<Decoder> decoder = codec.make_decoder(table, kCols);
      for (std::size_t size = 0; size < chunk.size(); ++size) {
        const std::vector<std::uint8_t> cut(chunk.begin(), chunk.begin() + static_cast<std::ptrdiff_t>(size));
        EXPECT_FALSE(try_decode(*decoder, cut, weights.size())) << size;
      }
      for (int trial = 0; trial < 2000; ++trial) {
        std::vector<std::uint8_t> broken = exact(chunk);
        for (std::uint64_t flips = 1 + random.next() % 3; flips > 0; --flips) {
          // The header half of the time.
          const std::size_t at = random.next() % (flips % 2 != 0 ? broken.size() : 32);
          broken[at] = static_cast<std::uint8_t>(random.next());
        }
        try_decode(*decoder, broken, weights.size());
      }
      for (int trial = 0; trial < 2000; ++trial) {
        std::vector<std::uint8_t> broken = exact(table);
        broken[random.next() % broken.size()] = static_cast<std::uint8_t>(random.next());
        try {
          try_decode(*codec.make_decoder(broken, kCols), exact(chunk), weights.size());
        } catch (const Error&) {
          continue;
        }
      }
    }
  }
}

}  // namespace
}  // namespace twofold
