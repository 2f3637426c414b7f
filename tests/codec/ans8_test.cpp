#include "codec/ans8.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "codec/ans8_tables.h"
#include "codec/builtin.h"
#include "codec/class_order.h"
#include "codec/entropy.h"
#include "codec/test_lanes.h"

namespace twofold {
namespace {

struct Coded {
  std::vector<std::uint8_t> table;
  std::vector<std::uint8_t> chunk;
  std::size_t bytes() const { return table.size() + chunk.size(); }
};

Coded encode(const Weights& weights, std::size_t cols = 1) {
  const auto width = static_cast<std::int64_t>(cols);
  Coded coded;
  coded.table = ans8_codec().make_table(weights, width);
  ans8_codec().encode(coded.table, weights, width, coded.chunk);
  return coded;
}

std::optional<Weights> decode(const Coded& coded, std::size_t count, std::size_t cols = 1) {
  return try_all(ans8_decoders(), coded.table, static_cast<std::int64_t>(cols), coded.chunk, count);
}

double entropy_bytes(const Weights& weights) {
  Histogram histogram{};
  count_values(weights, histogram);
  return order0_entropy(histogram) * static_cast<double>(weights.size()) / 8;
}

/// Zeros and two values, with the share of zeros that makes the largest frequency `f` of 256.
Weights mostly_zero(std::size_t count, std::uint64_t f) {
  Random random(f);
  return draw(count, [&] {
    return random.below(256) < f ? std::int8_t{0} : static_cast<std::int8_t>(1 + random.below(2));
  });
}

TEST(Ans8, EveryInstructionSetGivesBackEverySourceAtEveryLength) {
  for (const std::string& name : source_names()) {
    for (const std::size_t count :
         {0, 1, 2, 63, 64, 65, 1023, 1024, 1025, 1088, 1152, 1153, 2048, 5000, 40000}) {
      SCOPED_TRACE(name + ", " + std::to_string(count));
      const Weights weights = make_source(name, count, count + 1);
      ASSERT_EQ(decode(encode(weights), count), weights);
    }
  }
}

TEST(Ans8, EveryInstructionSetGivesBackMatricesWithColumnClasses) {
  struct Shape {
    std::size_t rows, cols;
  };
  for (const Shape shape : {Shape{300, 128}, {65, 640}, {40, 1000}, {17, 2047}, {200, 513}}) {
    SCOPED_TRACE(std::to_string(shape.rows) + " x " + std::to_string(shape.cols));
    const Weights weights = channel_matrix(shape.rows, shape.cols);
    const Coded coded = encode(weights, shape.cols);
    EXPECT_EQ(coded.table[0], 127);  // there are classes
    ASSERT_EQ(decode(coded, weights.size(), shape.cols), weights);
    for (const std::size_t rows : {1, 3, 16}) {
      const Weights part(weights.begin(), weights.begin() + static_cast<std::ptrdiff_t>(rows * shape.cols));
      Coded chunk{coded.table, {}};
      ans8_codec().encode(chunk.table, part, static_cast<std::int64_t>(shape.cols), chunk.chunk);
      ASSERT_EQ(decode(chunk, part.size(), shape.cols), part);
      EXPECT_FALSE(decode(chunk, part.size() - 1, shape.cols));
    }
  }
}

TEST(Ans8, ClassesOfOneValueAndOfEveryKindOfRawBitsShareAChunk) {
  const std::size_t rows = 256;
  const std::size_t cols = 64 * 7 + 5;
  Random random(2);
  Weights weights;
  for (std::size_t i = 0; i < rows * cols; ++i) {
    constexpr double kDeviations[] = {0, 1, 3, 9, 14, 25, 0, 40};
    const double deviation = kDeviations[i % cols % 8];
    const double x = normal(random) * deviation;
    weights.push_back(i % cols % 8 == 4 && std::abs(x) < 9 ? std::int8_t{0} : clamp_weight(x));
  }
  const Coded coded = encode(weights, cols);
  const ClassTables tables = read_class_tables(coded.table, static_cast<std::int64_t>(cols));
  std::vector<bool> kinds(6);
  for (const std::span<const std::uint8_t> part : tables.parts) {
    const Ans8Model model = read_ans8_model(part);
    const bool coded_kind = model.kind == Ans8Model::Kind::kCoded;
    kinds[coded_kind ? static_cast<std::size_t>(make_ans8_tables(model).raw_kind) : 5] = true;
  }
  EXPECT_GE(std::count(kinds.begin(), kinds.end(), true), 4);
  EXPECT_TRUE(kinds[5]);
  ASSERT_EQ(decode(coded, weights.size(), cols), weights);
}

// vpmaddubsw takes frequencies as signed bytes.
TEST(Ans8, EveryLargestFrequencyRoundTripsOnEveryInstructionSet) {
  for (std::uint64_t f = 3; f < 256; f += 4) {
    const Weights weights = mostly_zero(4000, f);
    ASSERT_EQ(decode(encode(weights), weights.size()), weights) << f;
  }
  for (const std::uint64_t f : {126, 127, 128, 129, 254, 255}) {
    const Weights weights = mostly_zero(60000, f);
    ASSERT_EQ(decode(encode(weights), weights.size()), weights) << f;
  }
}

TEST(Ans8, SizeIsWithinOnePercentOfTheEntropyInChunksOf64KWeights) {
  for (const char* name :
       {"gauss 3", "gauss 20", "laplace 2", "laplace 12", "uniform", "pruned", "heavy tails"}) {
    const Weights weights = make_source(name, 1 << 16);
    EXPECT_LE(static_cast<double>(encode(weights).bytes()), 1.01 * entropy_bytes(weights)) << name;
  }
}

TEST(Ans8, ColumnClassesCodeBelowTheEntropy) {
  const Weights weights = channel_matrix(512, 1024);
  EXPECT_LE(static_cast<double>(encode(weights, 1024).bytes()), 0.97 * entropy_bytes(weights));
}

TEST(Ans8, OneValueCostsOneByteAndNoWeightsNothing) {
  for (const std::size_t count : {1, 64, 100000}) {
    const Coded coded = encode(Weights(count, -7));
    EXPECT_THAT(coded.table, testing::ElementsAre(0xf9));
    EXPECT_TRUE(coded.chunk.empty());
  }
  EXPECT_EQ(encode({}).bytes(), 0u);
  EXPECT_FALSE(decode(encode({}), 1));
}

TEST(Ans8, EncodingAWeightTheTableLacksIsAnError) {
  std::vector<std::uint8_t> chunk;
  const Weights outside{100};
  EXPECT_THROW(ans8_codec().encode(encode(gaussian(1000, 1)).table, outside, 1, chunk), Error);
  EXPECT_THROW(ans8_codec().encode(encode(Weights(10, 3)).table, outside, 1, chunk), Error);
  EXPECT_THROW(ans8_codec().encode({}, outside, 1, chunk), Error);
}

TEST(Ans8, ACutOrExtendedChunkIsAnError) {
  for (const char* name : {"gauss 3", "gauss 20", "pruned", "sparse", "heavy tails"}) {
    for (const std::size_t count : {600, 2000, 5000}) {
      SCOPED_TRACE(name);
      const Coded coded = encode(make_source(name, count));
      ASSERT_FALSE(coded.chunk.empty());
      for (std::size_t size = 0; size < coded.chunk.size(); ++size) {
        const Coded cut{coded.table,
                        {coded.chunk.begin(), coded.chunk.begin() + static_cast<std::ptrdiff_t>(size)}};
        ASSERT_FALSE(decode(cut, count)) << size;
      }
      for (const std::size_t more : {1, 2, 3, 64, 1000}) {
        for (const std::uint8_t filling : {0, 255}) {
          Coded longer = coded;
          longer.chunk.resize(longer.chunk.size() + more, filling);
          ASSERT_FALSE(decode(longer, count)) << more;
        }
      }
    }
  }
}

TEST(Ans8, AnotherNumberOfWeightsThanCodedIsAnError) {
  for (const std::size_t count : {100, 3000, 20000}) {
    const Coded coded = encode(gaussian(count, 3));
    for (const std::size_t other : {0ul, 1ul, count - 64, count - 1, count + 1, count + 64, 2 * count}) {
      EXPECT_FALSE(decode(coded, other)) << count << " " << other;
    }
  }
}

TEST(Ans8, FlippedBitsAreAnErrorOrOtherWeightsOnEveryInstructionSetAlike) {
  Random random(3);
  for (const char* name : {"gauss 3", "gauss 20", "pruned", "heavy tails", "sparse", "two"}) {
    for (const std::size_t count : {2000, 20000}) {
      SCOPED_TRACE(name + std::string(", ") + std::to_string(count));
      const Coded coded = encode(make_source(name, count));
      int noticed = 0;
      for (int i = 0; i < 150; ++i) {
        Coded damaged = coded;
        // Half of them in the first bytes: tail, states, number of raw bits.
        const std::size_t at = random.below(i % 2 == 0 ? 300 : damaged.chunk.size()) % damaged.chunk.size();
        damaged.chunk[at] = static_cast<std::uint8_t>(damaged.chunk[at] ^ 1u << random.below(8));
        noticed += !decode(damaged, count).has_value();
        ASSERT_FALSE(testing::Test::HasFailure());
      }
      if (count == 20000 && std::string(name) == "gauss 3") {
        EXPECT_GE(noticed, 140);
      }
    }
  }
}

TEST(Ans8, RandomChunksAndTablesAreSafe) {
  Random random(9);
  for (const char* name : {"gauss 3", "pruned", "gauss 20"}) {
    const std::vector<std::uint8_t> good = encode(make_source(name, 5000)).table;
    int valid_tables = 0;
    for (int i = 0; i < 1500; ++i) {
      Coded coded{good, {}};
      if (i % 3 == 1) {
        coded.table[random.below(good.size())] ^= static_cast<std::uint8_t>(1 + random.below(255));
      }
      if (i % 3 == 2) {
        coded.table.resize(random.below(40));
        for (std::uint8_t& byte : coded.table) byte = static_cast<std::uint8_t>(random.next());
      }
      coded.chunk.resize(random.below(900));
      for (std::uint8_t& byte : coded.chunk) byte = static_cast<std::uint8_t>(random.next());
      if (!coded.chunk.empty()) coded.chunk[0] = static_cast<std::uint8_t>(random.below(3));
      decode(coded, random.below(2000));
      ASSERT_FALSE(testing::Test::HasFailure());
      try {
        ans8_codec().make_decoder(exact(coded.table), 1);
        ++valid_tables;
      } catch (const Error&) {
      }
    }
    EXPECT_GT(valid_tables, 500);
  }
}

TEST(Ans8, DamagedChunksAndTablesWithClassesAreSafe) {
  const std::size_t cols = 320;
  const Weights weights = channel_matrix(60, cols);
  const Coded good = encode(weights, cols);
  Random random(4);
  for (int i = 0; i < 400; ++i) {
    Coded damaged = good;
    std::vector<std::uint8_t>& bytes = i % 2 == 0 ? damaged.table : damaged.chunk;
    bytes[random.below(i % 4 < 2 ? 60 : bytes.size())] ^= static_cast<std::uint8_t>(1u << random.below(8));
    decode(damaged, weights.size(), cols);
    ASSERT_FALSE(testing::Test::HasFailure());
  }
}

TEST(Ans8, EncodingTwiceGivesTheSameBytesAndAppends) {
  const Weights weights = make_source("heavy tails", 100000);
  const Coded first = encode(weights);
  const Coded second = encode(weights);
  EXPECT_EQ(first.table, second.table);
  EXPECT_EQ(first.chunk, second.chunk);
  std::vector<std::uint8_t> out{1, 2, 3};
  ans8_codec().encode(first.table, weights, 1, out);
  EXPECT_THAT(std::span(out).first(3), testing::ElementsAre(1, 2, 3));
  EXPECT_TRUE(std::equal(out.begin() + 3, out.end(), first.chunk.begin(), first.chunk.end()));
}

}  // namespace
}  // namespace twofold
