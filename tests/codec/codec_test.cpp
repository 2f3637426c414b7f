#include "codec/codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "base/error.h"
#include "codec/test_lanes.h"

namespace twofold {
namespace {

class EveryCodec : public testing::TestWithParam<const Codec*> {
 protected:
  const Codec& codec() const { return *GetParam(); }

  std::vector<std::uint8_t> encode(const Weights& weights, std::int64_t cols = 1) {
    table_ = codec().make_table(weights, cols);
    cols_ = cols;
    std::vector<std::uint8_t> chunk;
    codec().encode(table_, weights, cols, chunk);
    return chunk;
  }
  std::optional<Weights> decode(std::span<const std::uint8_t> chunk, std::size_t count) const {
    return try_decode(*codec().make_decoder(exact(table_), cols_), chunk, count);
  }

  std::vector<std::uint8_t> table_;
  std::int64_t cols_ = 1;
};

INSTANTIATE_TEST_SUITE_P(Codecs, EveryCodec, testing::ValuesIn(codecs().begin(), codecs().end()),
                         [](const auto& parameter) { return std::string(parameter.param->name()); });

TEST_P(EveryCodec, GivesBackEverySourceInEveryShape) {
  struct Shape {
    std::size_t rows, cols;
  };
  for (const std::string& name : source_names()) {
    for (const Shape shape :
         {Shape{0, 5}, {1, 1}, {1, 1000}, {1000, 1}, {3, 64}, {17, 129}, {64, 512}, {250, 300}}) {
      SCOPED_TRACE(name + ", " + std::to_string(shape.rows) + " x " + std::to_string(shape.cols));
      const Weights weights = make_source(name, shape.rows * shape.cols, shape.rows);
      const std::vector<std::uint8_t> chunk = encode(weights, static_cast<std::int64_t>(shape.cols));
      ASSERT_EQ(decode(chunk, weights.size()), weights);
    }
  }
}

TEST_P(EveryCodec, ChunksOfRowsDecodeInAnyOrder) {
  const Weights weights = make_source("heavy tails", 40 * 300);
  const std::vector<std::uint8_t> table = codec().make_table(weights, 300);
  const std::unique_ptr<Decoder> decoder = codec().make_decoder(table, 300);
  for (std::size_t chunk = 4; chunk-- > 0;) {
    const auto part = std::span(weights).subspan(chunk * 3000, 3000);
    std::vector<std::uint8_t> coded;
    codec().encode(table, part, 300, coded);
    const std::optional<Weights> decoded = try_decode(*decoder, coded, part.size());
    ASSERT_TRUE(decoded);
    EXPECT_TRUE(std::equal(part.begin(), part.end(), decoded->begin(), decoded->end()));
  }
}

TEST_P(EveryCodec, EncodingIsDeterministicAndAppends) {
  const Weights weights = make_source("laplace 12", 50000);
  const std::vector<std::uint8_t> first = encode(weights);
  std::vector<std::uint8_t> second{42};
  codec().encode(table_, weights, 1, second);
  EXPECT_EQ(second.front(), 42);
  EXPECT_TRUE(std::equal(first.begin(), first.end(), second.begin() + 1, second.end()));
}

TEST_P(EveryCodec, DirectGivesTheWeightsOrNothing) {
  const Weights weights = make_source("gauss 20", 1000);
  const std::vector<std::uint8_t> chunk = encode(weights);
  const std::int8_t* direct = codec().make_decoder(table_, cols_)->direct(chunk, weights.size());
  EXPECT_EQ(direct != nullptr, codec().name() == "raw");
  if (direct != nullptr) {
    EXPECT_TRUE(std::equal(weights.begin(), weights.end(), direct));
    EXPECT_EQ(codec().make_decoder(table_, cols_)->direct(chunk, weights.size() + 1), nullptr);
  }
}

TEST_P(EveryCodec, CutOrExtendedChunksAreErrors) {
  for (const char* name : {"gauss 3", "walk", "sparse", "two"}) {
    SCOPED_TRACE(name);
    const Weights weights = make_source(name, 3000);
    const std::vector<std::uint8_t> chunk = encode(weights);
    for (std::size_t size = 0; size < chunk.size(); size += 1 + size / 100) {
      ASSERT_FALSE(decode(std::span(chunk).first(size), weights.size())) << size;
    }
    std::vector<std::uint8_t> longer = chunk;
    longer.push_back(0);
    EXPECT_FALSE(decode(longer, weights.size()));
  }
}

TEST_P(EveryCodec, AnotherNumberOfWeightsIsAnError) {
  const Weights weights = make_source("gauss 3", 3000);
  const std::vector<std::uint8_t> chunk = encode(weights);
  for (std::size_t count : {0, 1, 2999, 3001, 10000}) EXPECT_FALSE(decode(chunk, count)) << count;
  EXPECT_FALSE(decode({}, 1));
}

TEST_P(EveryCodec, DamagedChunksNeverCrash) {
  Random random(7);
  for (const char* name : {"gauss 3", "walk", "sparse", "heavy tails"}) {
    const Weights weights = make_source(name, 4000);
    const std::vector<std::uint8_t> chunk = encode(weights);
    for (int i = 0; i < 500; ++i) {
      std::vector<std::uint8_t> damaged = chunk;
      for (std::uint64_t flips = 1 + random.below(4); flips > 0; --flips) {
        damaged[random.below(damaged.size())] ^= static_cast<std::uint8_t>(1u << random.below(8));
      }
      if (i % 5 == 0) {
        for (std::uint8_t& byte : damaged) byte = static_cast<std::uint8_t>(random.next());
      }
      const std::optional<Weights> decoded = decode(damaged, weights.size());
      if (decoded) {
        EXPECT_EQ(decoded->size(), weights.size());
      }
    }
  }
}

TEST_P(EveryCodec, OneDecoderServesManyThreads) {
  const Weights weights = make_source("gauss 20", 30000);
  const std::vector<std::uint8_t> chunk = encode(weights);
  const std::unique_ptr<Decoder> decoder = codec().make_decoder(table_, cols_);
  std::vector<std::thread> threads;
  std::vector<int> equal(4);
  for (std::size_t t = 0; t < equal.size(); ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) equal[t] += try_decode(*decoder, chunk, weights.size()) == weights;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(equal, testing::Each(20));
}

TEST_P(EveryCodec, ATableItDoesNotWriteIsAnError) {
  const std::vector<std::uint8_t> nonsense{1, 2, 3};
  EXPECT_THROW(codec().make_decoder(nonsense, 1), Error);
}

TEST(Codecs, AreListedInTheOrderUsersSee) {
  std::vector<std::string> names;
  for (const Codec* codec : codecs()) names.emplace_back(codec->name());
  EXPECT_THAT(names, testing::ElementsAre("raw", "packed", "tiered", "quad", "ans", "ans8", "zstd", "lz4",
                                          "snappy", "deflate"));
  for (const std::string& name : names) EXPECT_EQ(find_codec(name).name(), name);
}

TEST(Codecs, AnUnknownNameIsAnErrorThatListsThem) {
  try {
    find_codec("huffman");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("'huffman'"));
    EXPECT_THAT(error.what(),
                testing::HasSubstr("raw, packed, tiered, quad, ans, ans8, zstd, lz4, snappy, deflate"));
  }
}

}  // namespace
}  // namespace twofold
