#include "codec/codec_bench.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "codec/builtin.h"
#include "codec/tableless.h"
#include "codec/test_weights.h"

namespace twofold {
namespace {

/// A codec that loses the last bit of every weight.
class LossyCodec : public TablelessCodec {
 public:
  std::string_view name() const override { return "lossy"; }
  void compress(std::span<const std::uint8_t> bytes, std::vector<std::uint8_t>& out) const override {
    out.insert(out.end(), bytes.begin(), bytes.end());
  }
  bool decompress(std::span<const std::uint8_t> coded, std::span<std::uint8_t> out) const override {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = coded[i] & 0xfe;
    return true;
  }
};

BenchSource two_matrices(const Weights& a, std::int64_t a_cols, const Weights& b, std::int64_t b_cols) {
  return [=, &a, &b](const auto& visit) {
    visit(BenchMatrix{a, a_cols});
    visit(BenchMatrix{b, b_cols});
  };
}

TEST(CodecBench, CountsAllBytesAndSumsTheEntropiesOfTheMatrices) {
  const Weights a = gaussian(100 * 300, 3);
  const Weights b(50 * 40, 9);  // entropy 0
  const std::vector<CodecFigures> figures =
      measure_codecs(codecs(), two_matrices(a, 300, b, 40), {.weights_per_chunk = 4096, .repetitions = 2});
  ASSERT_EQ(figures.size(), codecs().size());
  const std::uint64_t weights = a.size() + b.size();
  for (const CodecFigures& f : figures) {
    EXPECT_EQ(f.weights, weights);
    EXPECT_GT(f.coded_bytes, 0u);
    EXPECT_GT(f.encode_bytes_per_second, 0);
    EXPECT_GT(f.decode_bytes_per_second, 0);
    EXPECT_DOUBLE_EQ(f.compression_ratio() * f.bits_per_weight(), 8);
    EXPECT_NEAR(f.entropy_bits_per_weight, 3.64 * 30000 / 32000, 0.05);
  }
  EXPECT_EQ(figures[0].name, "raw");
  EXPECT_EQ(figures[0].coded_bytes, weights);
  EXPECT_EQ(figures[0].table_bytes, 0u);

  // The same by hand: chunks of 13 and 102 rows.
  std::vector<std::uint8_t> by_hand;
  std::uint64_t tables = 0;
  const auto code = [&](const Weights& matrix, std::int64_t cols, std::size_t rows) {
    const std::vector<std::uint8_t> table = ans_codec().make_table(matrix, cols);
    tables += table.size();
    const std::size_t step = rows * static_cast<std::size_t>(cols);
    for (std::size_t i = 0; i < matrix.size(); i += step) {
      ans_codec().encode(table, std::span(matrix).subspan(i, std::min(step, matrix.size() - i)), cols,
                         by_hand);
    }
  };
  code(a, 300, 13);
  code(b, 40, 102);
  const auto ans =
      std::find_if(figures.begin(), figures.end(), [](const CodecFigures& f) { return f.name == "ans"; });
  ASSERT_NE(ans, figures.end());
  EXPECT_EQ(ans->table_bytes, tables);
  EXPECT_EQ(ans->coded_bytes, by_hand.size() + tables);
  EXPECT_NEAR(ans->over_entropy(), 8.0 * ans->coded_bytes / weights / ans->entropy_bits_per_weight - 1,
              1e-12);
}

TEST(CodecBench, ADecoderThatGivesOtherWeightsIsAnError) {
  const LossyCodec lossy;
  const Codec* const codec = &lossy;
  const Weights weights = gaussian(1000, 3);
  EXPECT_THROW(measure_codecs({&codec, 1}, two_matrices(weights, 10, weights, 10)), Error);
}

TEST(CodecBench, NoMatricesGiveZeros) {
  const std::vector<CodecFigures> figures = measure_codecs(codecs(), [](const auto&) {});
  ASSERT_EQ(figures.size(), codecs().size());
  EXPECT_EQ(figures[1].coded_bytes, 0u);
  EXPECT_EQ(figures[1].compression_ratio(), 0);
  EXPECT_EQ(figures[1].over_entropy(), 0);
}

TEST(CodecBench, WeightsThatAreNoWholeRowsAreAnError) {
  const Weights weights = gaussian(1000, 3);
  EXPECT_THROW(measure_codecs(codecs(), two_matrices(weights, 10, weights, 7)), Error);
  EXPECT_THROW(measure_codecs(codecs(), two_matrices(weights, 10, weights, 0)), Error);
  EXPECT_THROW(measure_codecs(codecs(), two_matrices(weights, 10, weights, 10), {.repetitions = 0}), Error);
}

}  // namespace
}  // namespace twofold
