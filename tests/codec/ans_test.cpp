#include "codec/ans.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "codec/ans_model.h"
#include "codec/builtin.h"
#include "codec/entropy.h"
#include "codec/test_lanes.h"

namespace twofold {

namespace {

std::optional<Weights> try_all_lanes(std::span<const std::uint8_t> table, std::span<const std::uint8_t> coded,
                                     std::size_t count) {
  return try_all(ans_decoders(), table, 1, coded, count);
}

struct Coded {
  std::vector<std::uint8_t> table;
  std::vector<std::uint8_t> chunk;
  std::size_t bytes() const { return table.size() + chunk.size(); }
};

Coded encode(const Weights& weights) {
  Coded coded;
  coded.table = ans_codec().make_table(weights, 1);
  ans_codec().encode(coded.table, weights, 1, coded.chunk);
  return coded;
}

double entropy_bytes(const Weights& weights) {
  Histogram histogram{};
  count_values(weights, histogram);
  return order0_entropy(histogram) * static_cast<double>(weights.size()) / 8;
}

TEST(Ans, EveryInstructionSetGivesBackEverySourceAtEveryLength) {
  for (const std::string& name : source_names()) {
    for (std::size_t count :
         {0, 1, 2, 63, 64, 65, 1023, 1024, 1025, 1087, 1088, 1089, 1153, 2048, 5000, 40000}) {
      SCOPED_TRACE(name + ", " + std::to_string(count));
      const Weights weights = make_source(name, count, count + 1);
      const Coded coded = encode(weights);
      ASSERT_EQ(try_all_lanes(coded.table, coded.chunk, count), weights);
    }
  }
}

TEST(Ans, ChunksOfOneTensorDecodeByThemselves) {
  const Weights weights = make_source("heavy tails", 30 * 777);
  const std::vector<std::uint8_t> table = ans_codec().make_table(weights, 777);
  for (std::size_t rows : {1, 4, 7}) {
    for (std::size_t row = 0; row < 30; row += rows) {
      const std::size_t begin = row * 777;
      const std::size_t end = std::min<std::size_t>(row + rows, 30) * 777;
      const Weights part(weights.begin() + static_cast<std::ptrdiff_t>(begin),
                         weights.begin() + static_cast<std::ptrdiff_t>(end));
      std::vector<std::uint8_t> chunk;
      ans_codec().encode(table, part, 777, chunk);
      ASSERT_EQ(try_all_lanes(table, chunk, part.size()), part);
    }
  }
}

TEST(Ans, EveryInstructionSetGivesBackMatricesWithColumnClasses) {
  struct Shape {
    std::size_t rows, cols;
  };
  for (const Shape shape : {Shape{300, 128}, {65, 640}, {40, 1000}, {17, 2047}, {200, 513}}) {
    SCOPED_TRACE(std::to_string(shape.rows) + " x " + std::to_string(shape.cols));
    const auto cols = static_cast<std::int64_t>(shape.cols);
    const Weights weights = channel_matrix(shape.rows, shape.cols);
    const std::vector<std::uint8_t> table = ans_codec().make_table(weights, cols);
    EXPECT_EQ(table[0], 127);  // there are classes
    for (const std::size_t rows : {std::size_t{1}, std::size_t{3}, std::size_t{16}, shape.rows}) {
      const Weights part(weights.begin(), weights.begin() + static_cast<std::ptrdiff_t>(rows * shape.cols));
      std::vector<std::uint8_t> chunk;
      ans_codec().encode(table, part, cols, chunk);
      ASSERT_EQ(try_all(ans_decoders(), table, cols, chunk, part.size()), part);
      EXPECT_FALSE(try_all(ans_decoders(), table, cols, chunk, part.size() - 1));
      const auto cut = std::span(chunk).first(chunk.size() - 1);
      EXPECT_FALSE(try_all(ans_decoders(), table, cols, cut, part.size()));
    }
  }
}

TEST(Ans, ColumnsOfZerosAreAClassThatCostsNothing) {
  const std::size_t cols = 256;
  Weights weights = gaussian(256 * cols, 3);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (i % 2 == 0) weights[i] = 0;
  }
  const std::vector<std::uint8_t> table = ans_codec().make_table(weights, cols);
  std::vector<std::uint8_t> chunk;
  ans_codec().encode(table, weights, cols, chunk);
  EXPECT_EQ(try_all(ans_decoders(), table, cols, chunk, weights.size()), weights);
  EXPECT_LT(static_cast<double>(chunk.size()), 3.65 / 8 / 2 * static_cast<double>(weights.size()));
}

TEST(Ans, ColumnClassesCodeBelowTheEntropy) {
  const Weights weights = channel_matrix(512, 1024);
  const std::vector<std::uint8_t> table = ans_codec().make_table(weights, 1024);
  std::vector<std::uint8_t> chunk;
  ans_codec().encode(table, weights, 1024, chunk);
  EXPECT_LE(static_cast<double>(table.size() + chunk.size()), 0.965 * entropy_bytes(weights));
}

TEST(Ans, DamagedChunksAndTablesWithClassesAreSafe) {
  const std::int64_t cols = 320;
  const Weights weights = channel_matrix(60, 320);
  const std::vector<std::uint8_t> table = ans_codec().make_table(weights, cols);
  std::vector<std::uint8_t> chunk;
  ans_codec().encode(table, weights, cols, chunk);
  Random random(4);
  for (int i = 0; i < 400; ++i) {
    std::vector<std::uint8_t> parts[2] = {table, chunk};
    std::vector<std::uint8_t>& bytes = parts[i % 2];
    bytes[random.below(i % 4 < 2 ? 60 : bytes.size())] ^= static_cast<std::uint8_t>(1u << random.below(8));
    try_all(ans_decoders(), parts[0], cols, parts[1], weights.size());
    ASSERT_FALSE(testing::Test::HasFailure());
  }
}

// The encoder divides by multiplication; the states reach every part of their range at every frequency.
TEST(Ans, EveryFrequencyRoundTrips) {
  Random random(5);
  for (std::uint32_t f = 1; f < kAnsTotal; ++f) {
    AnsModel model;
    model.kind = AnsModel::Kind::kCoded;
    model.low = ans_symbol(-1);
    model.high = ans_symbol(1);
    model.frequency[ans_symbol(-1)] = static_cast<std::uint16_t>(f);
    model.frequency[ans_symbol(1)] = static_cast<std::uint16_t>(kAnsTotal - f);
    const std::vector<std::uint8_t> table = write_ans_model(model);
    const std::uint64_t half = random.below(kAnsTotal + 1);
    const Weights weights = draw(
        1100 + f % 700, [&] { return static_cast<std::int8_t>(random.below(kAnsTotal) < half ? -1 : 1); });
    std::vector<std::uint8_t> chunk;
    ans_codec().encode(table, weights, 1, chunk);
    ASSERT_EQ(try_decode(*make_ans_decoder(table, 1, ans_lanes_scalar), chunk, weights.size()), weights) << f;
  }
}

TEST(Ans, SizeIsWithinOneThousandthOfTheEntropyForLargeChunks) {
  for (const char* name :
       {"gauss 3", "gauss 20", "gauss 60", "laplace 2", "laplace 12", "uniform", "pruned", "heavy tails"}) {
    const Weights weights = make_source(name, 1 << 20);
    EXPECT_LE(static_cast<double>(encode(weights).bytes()), 1.001 * entropy_bytes(weights)) << name;
  }
}

TEST(Ans, SizeIsWithinHalfAPercentOfTheEntropyForOneSmallTensor) {
  for (const char* name : {"gauss 3", "gauss 20", "laplace 2", "pruned", "uniform"}) {
    const Weights weights = make_source(name, 256 * 256);
    EXPECT_LE(static_cast<double>(encode(weights).bytes()), 1.005 * entropy_bytes(weights)) << name;
  }
}

TEST(Ans, RareValuesCostNoMoreThanTheirShare) {
  // 200 values far below 1/4096 each: without escapes they would take a twentieth of the code space.
  Weights weights = gaussian(1 << 20, 3);
  for (std::size_t i = 0; i < weights.size(); i += 5000)
    weights[i] = static_cast<std::int8_t>(i / 5000 % 256);
  EXPECT_LE(static_cast<double>(encode(weights).bytes()), 1.001 * entropy_bytes(weights));
}

TEST(Ans, AShortChunkCostsFourBytesMoreThanItsWeights) {
  const Weights tensor = gaussian(100000, 3);
  const std::vector<std::uint8_t> table = ans_codec().make_table(tensor, 1);
  for (std::size_t count : {1, 10, 100, 1000}) {
    const Weights part(tensor.begin(), tensor.begin() + static_cast<std::ptrdiff_t>(count));
    std::vector<std::uint8_t> chunk;
    ans_codec().encode(table, part, 1, chunk);
    EXPECT_LE(static_cast<double>(chunk.size()), 6 + 3.9 / 8 * static_cast<double>(count)) << count;
  }
}

TEST(Ans, OneValueCostsOneByteAtAnySize) {
  for (std::size_t count : {1, 64, 100000}) {
    const Coded coded = encode(Weights(count, -7));
    EXPECT_THAT(coded.table, testing::ElementsAre(0xf9));
    EXPECT_TRUE(coded.chunk.empty());
  }
}

TEST(Ans, NoWeightsCostNothing) {
  const Coded coded = encode({});
  EXPECT_EQ(coded.bytes(), 0u);
  EXPECT_FALSE(try_all_lanes(coded.table, coded.chunk, 1));
  // An empty chunk of a tensor that has weights.
  const std::vector<std::uint8_t> table = encode(gaussian(5000, 3)).table;
  std::vector<std::uint8_t> chunk;
  ans_codec().encode(table, {}, 1, chunk);
  EXPECT_TRUE(chunk.empty());
  EXPECT_EQ(try_all_lanes(table, chunk, 0), Weights{});
  EXPECT_FALSE(try_all_lanes(table, chunk, 1));
}

TEST(Ans, EncodingAWeightTheTableLacksIsAnError) {
  std::vector<std::uint8_t> chunk;
  const Weights outside{100};
  EXPECT_THROW(ans_codec().encode(encode(gaussian(1000, 1)).table, outside, 1, chunk), Error);
  EXPECT_THROW(ans_codec().encode(encode(Weights(10, 3)).table, outside, 1, chunk), Error);
  EXPECT_THROW(ans_codec().encode({}, outside, 1, chunk), Error);
  const Weights gap{0};  // between the two values, but without a frequency
  EXPECT_THROW(ans_codec().encode(encode(make_source("two extremes", 1000)).table, gap, 1, chunk), Error);
}

TEST(Ans, ACutOrExtendedChunkIsAnError) {
  for (const char* name : {"gauss 3", "sparse", "heavy tails"}) {
    for (std::size_t count : {600, 2000, 5000}) {
      SCOPED_TRACE(name);
      const Coded coded = encode(make_source(name, count));
      ASSERT_FALSE(coded.chunk.empty());
      for (std::size_t size = 0; size < coded.chunk.size(); ++size) {
        ASSERT_FALSE(try_all_lanes(coded.table, std::span(coded.chunk).first(size), count)) << size;
      }
      for (std::size_t more : {1, 2, 3, 128, 1000}) {
        for (std::uint8_t filling : {0, 255}) {
          std::vector<std::uint8_t> longer = coded.chunk;
          longer.resize(longer.size() + more, filling);
          ASSERT_FALSE(try_all_lanes(coded.table, longer, count)) << more;
        }
      }
    }
  }
}

TEST(Ans, AnotherNumberOfWeightsThanCodedIsAnError) {
  for (std::size_t count : {100, 3000, 20000}) {
    const Coded coded = encode(gaussian(count, 3));
    for (std::size_t other : {0ul, 1ul, count - 64, count - 1, count + 1, count + 64, 2 * count}) {
      EXPECT_FALSE(try_all_lanes(coded.table, coded.chunk, other)) << count << " " << other;
    }
  }
}

TEST(Ans, FlippedBitsAreAnErrorOrOtherWeightsOnEveryInstructionSetAlike) {
  Random random(3);
  for (const char* name : {"gauss 3", "heavy tails", "sparse", "two"}) {
    for (std::size_t count : {2000, 3000, 20000}) {
      SCOPED_TRACE(name + std::string(", ") + std::to_string(count));
      const Coded coded = encode(make_source(name, count));
      ASSERT_FALSE(coded.chunk.empty());
      int noticed = 0;
      for (int i = 0; i < 200; ++i) {
        std::vector<std::uint8_t> chunk = coded.chunk;
        const std::size_t at =
            i < 40 ? static_cast<std::size_t>(i) % chunk.size() : random.below(chunk.size());
        chunk[at] = static_cast<std::uint8_t>(chunk[at] ^ 1u << random.below(8));
        noticed += !try_all_lanes(coded.table, chunk, count).has_value();
        ASSERT_FALSE(testing::Test::HasFailure());
      }
      if (count == 20000 && std::string(name) == "gauss 3") {
        EXPECT_GE(noticed, 190);
      }
    }
  }
}

TEST(Ans, RandomChunksAndTablesAreSafe) {
  Random random(9);
  const std::vector<std::uint8_t> good = encode(make_source("heavy tails", 5000)).table;
  int valid_tables = 0;
  for (int i = 0; i < 3000; ++i) {
    std::vector<std::uint8_t> table = good;
    if (i % 3 == 1) table[random.below(table.size())] ^= static_cast<std::uint8_t>(1 + random.below(255));
    if (i % 3 == 2) {
      table.resize(random.below(40));
      for (std::uint8_t& byte : table) byte = static_cast<std::uint8_t>(random.next());
    }
    std::vector<std::uint8_t> chunk(random.below(600));
    for (std::uint8_t& byte : chunk) byte = static_cast<std::uint8_t>(random.next());
    if (!chunk.empty()) chunk[0] = static_cast<std::uint8_t>(random.below(3));
    try_all_lanes(table, chunk, random.below(2000));
    ASSERT_FALSE(testing::Test::HasFailure());
    try {
      read_ans_model(exact(table));
      ++valid_tables;
    } catch (const Error&) {
    }
  }
  EXPECT_GT(valid_tables, 1000);
}

TEST(Ans, EncodingTwiceGivesTheSameBytes) {
  const Weights weights = make_source("heavy tails", 100000);
  const Coded first = encode(weights);
  const Coded second = encode(weights);
  EXPECT_EQ(first.table, second.table);
  EXPECT_EQ(first.chunk, second.chunk);
}

TEST(Ans, EncodingAppends) {
  const Weights weights = gaussian(5000, 3);
  const Coded coded = encode(weights);
  std::vector<std::uint8_t> out{1, 2, 3};
  ans_codec().encode(coded.table, weights, 1, out);
  EXPECT_THAT(std::span(out).first(3), testing::ElementsAre(1, 2, 3));
  EXPECT_TRUE(std::equal(out.begin() + 3, out.end(), coded.chunk.begin(), coded.chunk.end()));
}

}  // namespace
}  // namespace twofold
