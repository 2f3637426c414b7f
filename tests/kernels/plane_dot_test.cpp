// Products from coded weights: every instruction set against products of the decoded weights.

#include "kernels/plane_dot.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "base/random.h"
#include "codec/codec.h"
#include "codec/plane_decoder.h"

namespace twofold {

// See extra.cmake.
void plane_dot_avx512_emulated(const PlaneTable& table, PlaneCursor& cursor, std::size_t rows,
                               const std::int8_t* x, std::int32_t* sums);
void plane_dot_avx2vnni_emulated(const PlaneTable& table, PlaneCursor& cursor, std::size_t rows,
                                 const std::int8_t* x, std::int32_t* sums);

namespace {

struct NamedDot {
  std::string name;
  PlaneDot function;
};

std::vector<NamedDot> all_dots() {
  std::vector<NamedDot> all;
  for (const Isa isa : available_isas()) all.push_back({std::string(isa_name(isa)), plane_dot(isa)});
#if defined(__x86_64__)
  all.push_back({"avx2vnni emulated", plane_dot_avx2vnni_emulated});
  all.push_back({"avx512 emulated", plane_dot_avx512_emulated});
#endif
  return all;
}

double normal(Random& random) {
  return std::sqrt(-2 * std::log(1 - random.uniform())) * std::cos(6.283185307179586 * random.uniform());
}

/// Columns of differing spread, so that there are classes of every kind up to raw ones.
std::vector<std::int8_t> make_weights(std::size_t rows, std::size_t cols, double deviation, double spread,
                                      Random& random) {
  std::vector<double> scale(cols);
  for (double& s : scale) s = deviation * std::exp(spread * normal(random));
  std::vector<std::int8_t> weights(rows * cols);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    weights[i] =
        static_cast<std::int8_t>(std::clamp(std::nearbyint(scale[i % cols] * normal(random)), -127.0, 127.0));
  }
  return weights;
}

void check(std::string_view codec_name, std::size_t rows, std::size_t cols, double deviation, double spread,
           bool extreme, Random& random) {
  SCOPED_TRACE(std::string(codec_name) + ", " + std::to_string(rows) + " x " + std::to_string(cols) + ", " +
               std::to_string(deviation));
  const std::vector<std::int8_t> weights = make_weights(rows, cols, deviation, spread, random);
  const Codec& codec = find_codec(codec_name);
  const auto width = static_cast<std::int64_t>(cols);
  const std::vector<std::uint8_t> table = codec.make_table(weights, width);
  std::vector<std::uint8_t> coded;
  codec.encode(table, weights, width, coded);
  const std::unique_ptr<Decoder> decoder = codec.make_decoder(table, width);
  const auto& planes = dynamic_cast<const PlaneDecoder&>(*decoder);
  if (planes.table() == nullptr) return;  // zeros apart: nothing to multiply from

  std::vector<std::int8_t> x(planes.table()->row_groups() * kGroupColumns, 0);
  std::vector<std::int32_t> expected(rows, 0);
  for (std::size_t i = 0; i < cols; ++i) {
    const std::size_t column =
        planes.column_order().empty() ? i : static_cast<std::size_t>(planes.column_order()[i]);
    x[i] = extreme ? static_cast<std::int8_t>(random.next() % 2 == 0 ? 127 : -127)
                   : static_cast<std::int8_t>(static_cast<int>(random.next() % 255) - 127);
    for (std::size_t row = 0; row < rows; ++row) expected[row] += weights[row * cols + column] * x[i];
  }
  std::vector<std::int32_t> group_sums(planes.table()->row_groups());
  sum_groups(x, group_sums);
  const std::int32_t base = plane_base_sum(*planes.table(), group_sums);
  for (const NamedDot& dot : all_dots()) {
    PlaneCursor cursor = planes.open(coded, static_cast<std::int64_t>(rows));
    std::vector<std::int32_t> sums(rows, 1);
    dot.function(*planes.table(), cursor, rows, x.data(), sums.data());
    for (std::int32_t& sum : sums) sum += base;
    EXPECT_EQ(sums, expected) << dot.name;
  }
}

TEST(PlaneDot, EqualsTheProductOfTheDecodedWeights) {
  Random random(1);
  struct Shape {
    std::size_t rows, cols;
  };
  for (const char* codec : {"packed", "tiered"}) {
    for (const double deviation : {0.4, 1.2, 2.9, 7.0, 15.0, 40.0, 90.0}) {
      for (const Shape shape :
           {Shape{1, 1}, {1, 64}, {3, 63}, {5, 65}, {16, 256}, {7, 1000}, {2, 2048}, {40, 130}}) {
        check(codec, shape.rows, shape.cols, deviation, 0, false, random);
        check(codec, shape.rows, shape.cols, deviation, 0.8, false, random);
      }
    }
  }
}

TEST(PlaneDot, LargestProductsDoNotSaturate) {
  Random random(2);
  for (const char* codec : {"packed", "tiered"}) {
    for (const double deviation : {2.0, 10.0, 30.0, 60.0, 1000.0})
      check(codec, 4, 4096, deviation, 0.5, true, random);
  }
}

/// One packed class of 16 values, and what lies outside as corrections.
PlaneTable corrected_table(std::size_t groups, std::size_t format) {
  PlaneTable table;
  table.columns = one_class(static_cast<std::int64_t>(groups * kGroupColumns));
  table.classes.resize(1);
  table.classes[0].low_bits = 4;
  table.correction_format = format;
  return table;
}

struct CorrectedDots {
  PlaneTable table;
  std::size_t rows;
  std::vector<std::int8_t> weights, x;
  std::vector<std::uint8_t> coded;

  /// A weight is outside the window with probability `share`.
  CorrectedDots(std::size_t groups, std::size_t format, std::size_t row_count, double share, Random& random)
      : table(corrected_table(groups, format)), rows(row_count) {
    const std::size_t width = groups * kGroupColumns;
    weights.resize(rows * width);
    for (std::int8_t& w : weights) {
      const bool outside = random.uniform() < share;
      w = static_cast<std::int8_t>(outside ? static_cast<int>(random.next() % 255) - 127
                                           : static_cast<int>(random.next() % 16));
    }
    x.resize(width);
    for (std::int8_t& a : x) a = static_cast<std::int8_t>(static_cast<int>(random.next() % 255) - 127);
    write_plane_chunk(table, rows, weights, coded);
  }

  /// The products, and behind them how many corrections were left.
  std::vector<std::int64_t> run(PlaneDot dot) const {
    PlaneCursor cursor = open_plane_chunk(table, rows, table.row_groups(), coded);
    std::vector<std::int32_t> sums(rows);
    dot(table, cursor, rows, x.data(), sums.data());
    std::vector<std::int64_t> result(sums.begin(), sums.end());
    result.push_back(static_cast<std::int64_t>(cursor.corrections_left));
    return result;
  }
};

TEST(PlaneDot, CorrectionsOfEveryFormatAndDensity) {
  Random random(3);
  for (std::size_t format = 0; format < kCorrectionFormats.size(); ++format) {
    for (const std::size_t groups : {1, 2, 33, 800}) {  // 800: more columns than have 16 bits to spare
      for (const double share : {0.0, 0.002, 0.05, 0.9}) {
        const CorrectedDots dots(groups, format, groups == 800 ? 2 : 9, share, random);
        std::vector<std::int64_t> expected(dots.rows + 1, 0);
        for (std::size_t i = 0; i < dots.weights.size(); ++i) {
          expected[i / dots.x.size()] += dots.weights[i] * dots.x[i % dots.x.size()];
        }
        for (const NamedDot& dot : all_dots())
          EXPECT_EQ(dots.run(dot.function), expected) << dot.name << ", format " << format << ", " << share;
      }
    }
  }
}

TEST(PlaneDot, BrokenCorrectionsAreTakenAlike) {
  Random random(4);
  for (int trial = 0; trial < 200; ++trial) {
    CorrectedDots dots(1 + random.next() % 4, random.next() % kCorrectionFormats.size(), 5, 0.1, random);
    const PlaneCursor cursor = open_plane_chunk(dots.table, dots.rows, dots.table.row_groups(), dots.coded);
    const auto list = static_cast<std::size_t>(cursor.corrections - dots.coded.data());
    for (std::size_t i = list; cursor.corrections + (i - list) < cursor.plane; ++i) {
      if (random.next() % 8 == 0) dots.coded[i] = static_cast<std::uint8_t>(random.next());
    }
    const std::vector<std::int64_t> expected = dots.run(plane_dot(Isa::kScalar));
    for (const NamedDot& dot : all_dots()) EXPECT_EQ(dots.run(dot.function), expected) << dot.name;
  }
}

}  // namespace
}  // namespace twofold
