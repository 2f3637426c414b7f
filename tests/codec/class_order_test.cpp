#include "codec/class_order.h"

#include <gtest/gtest.h>

#include <numeric>

#include "base/error.h"
#include "codec/test_weights.h"

namespace twofold {
namespace {

/// `sizes` columns per class, dealt out at random.
ColumnClasses random_classes(std::vector<std::int64_t> sizes, std::uint64_t seed) {
  std::vector<std::int32_t> order(static_cast<std::size_t>(std::accumulate(sizes.begin(), sizes.end(), 0)));
  std::iota(order.begin(), order.end(), 0);
  Random random(seed);
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  ColumnClasses classes{.begin = {0}, .order = order};
  for (const std::int64_t size : sizes) {
    std::sort(classes.order.begin() + classes.begin.back(),
              classes.order.begin() + classes.begin.back() + size);
    classes.begin.push_back(classes.begin.back() + size);
  }
  return classes;
}

Weights sorted(const ClassOrder& order, const Weights& matrix) {
  Weights out(matrix.size() + ClassOrder::kPadding);
  order.sort(matrix, out.data());
  return out;
}

TEST(ClassOrder, IsClassesThenBlocksOf16RowsThenColumns) {
  const ClassOrder order(random_classes({64, 64, 7}, 3));
  const std::size_t cols = 135;
  const std::size_t rows = 37;
  const Weights matrix = make_source("uniform", rows * cols);
  const Weights coded = sorted(order, matrix);
  std::size_t at = 0;
  for (std::size_t c = 0; c < 3; ++c) {
    EXPECT_EQ(order.weights(c, matrix.size()), rows * (c < 2 ? 64 : 7));
    for (std::size_t block = 0; block < rows; block += 16) {
      for (std::int64_t i = order.classes().begin[c]; i < order.classes().begin[c + 1]; ++i) {
        const auto column = static_cast<std::size_t>(order.classes().order[static_cast<std::size_t>(i)]);
        for (std::size_t row = block; row < std::min(rows, block + 16); ++row) {
          ASSERT_EQ(coded[at++], matrix[row * cols + column]);
        }
      }
    }
  }
}

TEST(ClassOrder, RestoringGivesTheMatrixBackAtEveryHeightAndWidth) {
  for (const std::size_t rows : {0, 1, 2, 3, 5, 15, 16, 17, 31, 32, 48, 100}) {
    for (const std::vector<std::int64_t>& sizes :
         {std::vector<std::int64_t>{64, 1}, {64, 64}, {128, 64, 320, 63}, {64, 192, 64, 64, 64, 64, 17}}) {
      const ClassOrder order(random_classes(sizes, rows));
      const std::size_t cols = order.classes().order.size();
      const Weights matrix = make_source("uniform", rows * cols, rows + 1);
      Weights out(matrix.size());
      order.restore(sorted(order, matrix).data(), out);
      ASSERT_EQ(out, matrix) << rows << " x " << cols;
    }
  }
}

TEST(ClassOrder, TheBufferHasThePaddingBehindIt) {
  for (const std::size_t count : {10, 100000, 1000}) {
    const std::span<std::int8_t> buffer = ClassOrder::buffer(count);
    EXPECT_EQ(buffer.size(), count);
    std::fill_n(buffer.data(), count + ClassOrder::kPadding, std::int8_t{1});
  }
}

std::vector<std::vector<std::uint8_t>> parts(std::size_t count) {
  std::vector<std::vector<std::uint8_t>> all;
  for (std::size_t c = 0; c < count; ++c) all.emplace_back(1 + 300 * c, static_cast<std::uint8_t>(c));
  return all;
}

TEST(ClassTables, ReadBackAsWritten) {
  const ColumnClasses classes = random_classes({64, 128, 9}, 5);
  const std::vector<std::vector<std::uint8_t>> written = parts(3);
  const std::vector<std::uint8_t> table = write_class_tables(classes, written);
  const ClassTables read = read_class_tables(table, 201);
  EXPECT_EQ(read.classes.begin, classes.begin);
  EXPECT_EQ(read.classes.order, classes.order);
  ASSERT_EQ(read.parts.size(), 3u);
  for (std::size_t c = 0; c < 3; ++c) {
    EXPECT_TRUE(std::equal(read.parts[c].begin(), read.parts[c].end(), written[c].begin(), written[c].end()));
  }
}

TEST(ClassTables, OneClassIsThePartItself) {
  const std::vector<std::uint8_t> part{1, 2, 3};
  const std::vector<std::vector<std::uint8_t>> all{part};
  EXPECT_EQ(write_class_tables(one_class(10), all), part);
  const ClassTables read = read_class_tables(part, 10);
  EXPECT_EQ(read.classes.size(), 1u);
  ASSERT_EQ(read.parts.size(), 1u);
  EXPECT_EQ(read.parts[0].size(), 3u);
  EXPECT_EQ(read_class_tables({}, 10).parts[0].size(), 0u);
}

TEST(ClassTables, BrokenOnesAreErrors) {
  const std::vector<std::uint8_t> table = write_class_tables(random_classes({64, 64, 9}, 5), parts(3));
  ASSERT_NO_THROW(read_class_tables(table, 137));
  for (std::size_t size = 2; size < table.size(); ++size) {
    ASSERT_THROW(read_class_tables(std::span(table).first(size), 137), Error) << size;
  }
  std::vector<std::uint8_t> broken = table;
  broken.push_back(0);
  EXPECT_THROW(read_class_tables(broken, 137), Error);
  EXPECT_THROW(read_class_tables(table, 138), Error);  // then a class has a broken group
  for (const std::uint8_t classes : {0, 1, 17, 255}) {
    broken = table;
    broken[1] = classes;
    EXPECT_THROW(read_class_tables(broken, 137), Error) << int{classes};
  }
  broken = table;  // the first part has no bytes
  const std::size_t first_size = 2 + (2 * 137 + 7) / 8;
  ASSERT_EQ(broken[first_size], 1);
  broken[first_size] = 0;
  EXPECT_THROW(read_class_tables(broken, 137), Error);
}

}  // namespace
}  // namespace twofold
