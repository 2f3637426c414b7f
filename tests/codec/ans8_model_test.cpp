#include "codec/ans8_model.h"

#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "base/error.h"
#include "codec/ans8_raw.h"
#include "codec/ans8_tables.h"
#include "codec/test_weights.h"

namespace twofold {
namespace {

Ans8Model model_of(const Weights& weights) {
  Histogram histogram{};
  count_values(weights, histogram);
  return make_ans8_model(histogram);
}

std::vector<Ans8Model> many_models() {
  std::vector<Ans8Model> models;
  for (const std::string& name : source_names()) {
    for (const std::size_t count : {2, 50, 5000, 200000}) {
      models.push_back(model_of(make_source(name, count)));
      if (models.back().kind != Ans8Model::Kind::kCoded) models.pop_back();
    }
  }
  return models;
}

TEST(Ans8Model, FrequenciesOfEverySourceSumTo256AndEveryWeightHasACode) {
  for (const std::string& name : source_names()) {
    for (const std::size_t count : {2, 50, 5000, 200000}) {
      SCOPED_TRACE(name);
      const Weights weights = make_source(name, count);
      const Ans8Model model = model_of(weights);
      if (model.kind != Ans8Model::Kind::kCoded) continue;
      int sum = 0;
      for (const Ans8Symbol& symbol : model.symbols) {
        EXPECT_EQ(symbol.start, sum);
        sum += symbol.frequency;
      }
      EXPECT_EQ(sum, kAns8Total);
      EXPECT_LE(model.symbols.size(), kAns8Symbols);
      for (const std::int8_t weight : weights) {
        const Ans8Model::Code& code = model.codes[static_cast<std::uint8_t>(weight)];
        ASSERT_LT(code.symbol, model.symbols.size());
        if (int{code.symbol} == model.escape) {
          ASSERT_EQ(model.rare[code.rare], weight);
        } else {
          ASSERT_EQ(model.symbols[code.symbol].base + code.raw, weight);
        }
      }
    }
  }
}

TEST(Ans8Model, ATableReadsBackAsTheModelItWasWrittenFrom) {
  for (const Ans8Model& model : many_models()) {
    const std::vector<std::uint8_t> table = write_ans8_model(model);
    const Ans8Model read = read_ans8_model(table);
    EXPECT_EQ(read.rare, model.rare);
    EXPECT_EQ(read.escape, model.escape);
    ASSERT_EQ(read.symbols.size(), model.symbols.size());
    for (std::size_t s = 0; s < read.symbols.size(); ++s) {
      EXPECT_EQ(read.symbols[s].frequency, model.symbols[s].frequency);
      EXPECT_EQ(read.symbols[s].base, model.symbols[s].base);
      EXPECT_EQ(read.symbols[s].raw, model.symbols[s].raw);
    }
    EXPECT_EQ(write_ans8_model(read), table);
  }
}

TEST(Ans8Model, EverySourceIsCodedWithinOnePercentOfTheEntropy) {
  for (const char* name : {"gauss 3", "gauss 20", "laplace 2", "laplace 12", "uniform", "pruned",
                           "heavy tails", "two", "walk"}) {
    Histogram histogram{};
    const Weights weights = make_source(name, 1 << 20);
    count_values(weights, histogram);
    const double bits = order0_entropy(histogram) * static_cast<double>(weights.size());
    EXPECT_LE(ans8_cost(make_ans8_model(histogram), histogram), 1.01 * bits) << name;
  }
}

TEST(Ans8Model, WideWeightsHaveRawBitsAndPrunedOnesKeepZeroApart) {
  EXPECT_EQ(model_of(gaussian(100000, 2)).raw_bits, 0);
  const Ans8Model wide = model_of(gaussian(100000, 20));
  EXPECT_TRUE(wide.all_raw());
  const Ans8Model pruned = model_of(make_source("pruned", 100000));
  EXPECT_GT(pruned.raw_bits, 0);
  EXPECT_FALSE(pruned.all_raw());
  EXPECT_FALSE(pruned.symbols[pruned.codes[0].symbol].raw);
}

TEST(Ans8Model, BrokenTablesAreErrors) {
  const std::vector<std::uint8_t> good = write_ans8_model(model_of(gaussian(100000, 12)));
  ASSERT_NO_THROW(read_ans8_model(good));
  for (std::size_t size = 2; size < good.size(); ++size) {
    EXPECT_THROW(read_ans8_model(std::span(good).first(size)), Error) << size;
  }
  std::vector<std::uint8_t> broken = good;
  broken.push_back(0);
  EXPECT_THROW(read_ans8_model(broken), Error);
  const auto with = [&](std::size_t at, int value) {
    broken = good;
    broken[at] = static_cast<std::uint8_t>(value);
    return broken;
  };
  EXPECT_THROW(read_ans8_model(with(0, good[1])), Error);  // smallest weight not below the largest
  EXPECT_THROW(read_ans8_model(with(2, 4)), Error);        // raw bits
  EXPECT_THROW(read_ans8_model(with(2, 0)), Error);        // buckets without raw bits
  EXPECT_THROW(read_ans8_model(with(3, 127)), Error);      // cells beyond 127
  EXPECT_THROW(read_ans8_model(with(3, -128)), Error);     // and beyond -128
}

TEST(Ans8Model, FrequenciesThatLeaveNoEscapeOrAreTooManyAreErrors) {
  // low 0, high 1, two values with the frequency 1 each, none left to be rare.
  EXPECT_THROW(read_ans8_model(std::vector<std::uint8_t>{0, 1, 0, 0, 2, 0, 0, 0}), Error);
  // With a third value it is the escape.
  const Ans8Model model = read_ans8_model(std::vector<std::uint8_t>{0, 2, 0, 0, 2, 0, 0, 0});
  ASSERT_EQ(model.symbols.size(), 3u);
  EXPECT_EQ(model.symbols[2].frequency, 254);
  EXPECT_EQ(model.symbols[2].base, 2);
  // 40 values with the frequency 1.
  EXPECT_THROW(read_ans8_model(std::vector<std::uint8_t>{0, 100, 0, 0, 40, 0, 0, 0, 0, 0, 0, 0}), Error);
  // Two values with the frequency 0 each: class 0, coded as one less than 1.
  EXPECT_THROW(read_ans8_model(std::vector<std::uint8_t>{0, 2, 0, 0, 2, 0, 0, 0b0101}), Error);
}

TEST(Ans8Tables, EverySymbolOwnsAsManySlotsAsItsFrequencyNumberedFromZero) {
  for (const Ans8Model& model : many_models()) {
    std::vector<std::set<int>> numbers(model.symbols.size());
    for (const Ans8Slot& slot : ans8_slots(model)) {
      ASSERT_LT(slot.symbol, model.symbols.size());
      EXPECT_TRUE(numbers[slot.symbol].insert(slot.number).second);
    }
    for (std::size_t s = 0; s < model.symbols.size(); ++s) {
      EXPECT_EQ(numbers[s].size(), model.symbols[s].frequency);
      EXPECT_EQ(*numbers[s].rbegin() + 1, model.symbols[s].frequency);
    }
  }
}

TEST(Ans8Tables, ColumnsAndSlotsSayTheSame) {
  for (const Ans8Model& model : many_models()) {
    const Ans8Tables tables = make_ans8_tables(model);
    for (std::size_t slot = 0; slot < 256; ++slot) {
      for (const std::size_t copy : {0u, 32u}) {
        const std::size_t column = slot / 8 + copy;
        const std::size_t position = slot % 8;
        const bool own = position < tables.own[column];
        const std::size_t symbol = own ? slot / 8 : tables.alias[column];
        const std::size_t number = (position + (own ? 0 : tables.offset[column])) % 256;
        EXPECT_EQ(tables.slots[slot], tables.base[symbol] | std::uint32_t{tables.frequency[symbol]} << 8 |
                                          static_cast<std::uint32_t>(number) << 16 |
                                          std::uint32_t{tables.raw[symbol]} << 24);
      }
    }
  }
}

TEST(Ans8Raw, FieldsOfEveryWidthAndNumberComeBack) {
  Random random(1);
  for (const int k : {1, 2, 3}) {
    for (const std::size_t count : {0, 1, 7, 8, 9, 63, 64, 65, 127, 128, 8191, 8192, 8193, 8256, 20000}) {
      std::vector<std::uint8_t> fields(count);
      for (std::uint8_t& field : fields) field = static_cast<std::uint8_t>(random.below(1u << k));
      std::vector<std::uint8_t> packed;
      write_ans8_raw(fields, k, packed);
      ASSERT_EQ(packed.size(), ans8_raw_bytes(count, k));
      Ans8RawReader reader(packed, count, k);
      std::vector<std::uint8_t> read;
      while (read.size() < count) {
        reader.fill();
        const auto there = static_cast<std::size_t>(reader.end() - reader.data());
        ASSERT_GE(there, std::min(count - read.size(), Ans8RawReader::kBatch));
        const std::size_t taken = std::min<std::size_t>(there, 1 + random.below(3000));
        read.insert(read.end(), reader.data(), reader.data() + taken);
        for (std::size_t i = 0; i < Ans8RawReader::kPadding; ++i) ASSERT_EQ(reader.end()[i], 0);
        ASSERT_TRUE(reader.advance(reader.data() + taken));
      }
      EXPECT_EQ(read, fields);
      EXPECT_TRUE(reader.finished());
      EXPECT_FALSE(reader.advance(reader.end() + 1));
    }
  }
}

}  // namespace
}  // namespace twofold
