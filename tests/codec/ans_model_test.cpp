#include "codec/ans_model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "base/error.h"
#include "codec/test_weights.h"

namespace twofold {
namespace {

AnsModel model_of(const Weights& weights, Histogram& histogram) {
  histogram = {};
  count_values(weights, histogram);
  return make_ans_model(histogram);
}

std::uint32_t sum(const AnsModel& model) {
  return std::accumulate(model.frequency.begin(), model.frequency.end(), 0u);
}

TEST(AnsModel, FrequenciesOfEverySourceSumTo4096AndCoverEveryValue) {
  for (const std::string& name : source_names()) {
    for (std::size_t count : {2, 50, 5000, 300000}) {
      SCOPED_TRACE(name);
      Histogram histogram;
      const AnsModel model = model_of(make_source(name, count), histogram);
      if (model.kind != AnsModel::Kind::kCoded) continue;
      EXPECT_EQ(sum(model), kAnsTotal);
      for (std::size_t s = 0; s < 256; ++s) {
        if (histogram[static_cast<std::uint8_t>(ans_weight(s))] == 0) continue;
        EXPECT_TRUE(model.frequency[s] > 0 || model.escape >= 0) << s;
        EXPECT_GE(static_cast<int>(s), model.low);
        EXPECT_LE(static_cast<int>(s), model.high);
      }
    }
  }
}

// The cost is convex, so frequencies that no move of one unit improves are the optimum.
TEST(AnsModel, NoFrequencyCanBeImproved) {
  for (const char* name : {"gauss 3", "gauss 20", "laplace 2", "uniform", "pruned"}) {
    SCOPED_TRACE(name);
    Histogram histogram;
    const AnsModel model = model_of(make_source(name, 200000), histogram);
    std::vector<double> counts;
    std::vector<double> frequencies;
    double rare = 0;
    for (std::size_t s = 0; s < 256; ++s) {
      const auto count = static_cast<double>(histogram[static_cast<std::uint8_t>(ans_weight(s))]);
      if (model.frequency[s] == 0 || static_cast<int>(s) == model.escape) {
        rare += count;
      } else {
        counts.push_back(count);
        frequencies.push_back(model.frequency[s]);
      }
    }
    if (model.escape >= 0) {
      counts.push_back(rare);
      frequencies.push_back(model.frequency[static_cast<std::size_t>(model.escape)]);
    }
    for (std::size_t to = 0; to < counts.size(); ++to) {
      const double gain = counts[to] * std::log2((frequencies[to] + 1) / frequencies[to]);
      for (std::size_t from = 0; from < counts.size(); ++from) {
        if (from == to || frequencies[from] < 2) continue;
        EXPECT_LE(gain, counts[from] * std::log2(frequencies[from] / (frequencies[from] - 1)) * (1 + 1e-9));
      }
    }
  }
}

TEST(AnsModel, ATableReadsBackAsTheModelItWasWrittenFrom) {
  for (const std::string& name : source_names()) {
    for (std::size_t count : {0, 1, 2, 50, 5000, 300000}) {
      SCOPED_TRACE(name);
      Histogram histogram;
      const AnsModel model = model_of(make_source(name, count), histogram);
      const std::vector<std::uint8_t> table = write_ans_model(model);
      const AnsModel read = read_ans_model(table);
      EXPECT_EQ(read.kind, model.kind);
      EXPECT_EQ(read.low, model.low);
      EXPECT_EQ(read.high, model.high);
      EXPECT_EQ(read.escape, model.escape);
      EXPECT_EQ(read.frequency, model.frequency);
      EXPECT_EQ(read.start, model.start);
      EXPECT_EQ(read.rare, model.rare);
      EXPECT_EQ(write_ans_model(read), table);
    }
  }
}

TEST(AnsModel, TablesOfSmoothHistogramsAreSmall) {
  Histogram histogram;
  EXPECT_LE(write_ans_model(model_of(gaussian(1 << 20, 2.93), histogram)).size(), 36u);
  EXPECT_LE(write_ans_model(model_of(gaussian(1 << 20, 12), histogram)).size(), 96u);
}

TEST(AnsModel, RareIndicesShareAllSlots) {
  Histogram histogram;
  const AnsModel model = model_of(make_source("heavy tails", 300000), histogram);
  ASSERT_GE(model.escape, 0);
  ASSERT_GT(model.rare.size(), 100u);
  EXPECT_EQ(model.rare_start(0), 0u);
  EXPECT_EQ(model.rare_start(model.rare.size()), kAnsTotal);
  for (std::size_t i = 0; i < model.rare.size(); ++i) {
    EXPECT_LT(model.rare_start(i), model.rare_start(i + 1));
    EXPECT_EQ(model.rare_index[model.rare[i]], i);
  }
}

TEST(AnsModel, BrokenTablesAreErrors) {
  Histogram histogram;
  const std::vector<std::uint8_t> good = write_ans_model(model_of(gaussian(100000, 3), histogram));
  ASSERT_NO_THROW(read_ans_model(good));
  for (std::size_t size = 2; size < good.size(); ++size) {
    EXPECT_THROW(read_ans_model(std::span(good).first(size)), Error) << size;
  }
  std::vector<std::uint8_t> longer = good;
  longer.push_back(0);
  EXPECT_THROW(read_ans_model(longer), Error);
  std::vector<std::uint8_t> swapped = good;
  std::swap(swapped[0], swapped[1]);
  EXPECT_THROW(read_ans_model(swapped), Error);
  std::vector<std::uint8_t> padding = good;
  padding.back() |= 0x80;
  EXPECT_THROW(read_ans_model(padding), Error);
}

TEST(AnsModel, FrequenciesOverTheTotalAreAnError) {
  // -1..1, class 12 three times, all mantissa bits set: 3 * 4095.
  const std::vector<std::uint8_t> table{0xff, 0x01, 0xff, 0x01, 0x33, 0xff, 0xff, 0xfd, 0xff, 0xff, 0x1f};
  EXPECT_THROW(read_ans_model(table), Error);
}

TEST(AnsModel, FrequenciesBelowTheTotalWithoutARareValueAreAnError) {
  // 0..1, both of class 1: the sum is 2 and no value is left to be the escape.
  EXPECT_THROW(read_ans_model(std::vector<std::uint8_t>{0, 1, 0, 1, 0}), Error);
  // 0..2 with the same frequencies: 2 is rare and its own escape.
  const AnsModel model = read_ans_model(std::vector<std::uint8_t>{0, 2, 0, 1, 0});
  EXPECT_EQ(model.escape, ans_symbol(2));
  EXPECT_EQ(model.frequency[ans_symbol(2)], kAnsTotal - 2);
}

}  // namespace
}  // namespace twofold
