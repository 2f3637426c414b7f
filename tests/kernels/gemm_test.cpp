#include <gtest/gtest.h>

#include <cmath>

#include "kernels/all_ops.h"
#include "kernels/sgemm.h"
#include "kernels/test_data.h"

namespace twofold {
namespace {

struct Shape {
  std::size_t m, n, k;
  std::size_t extra_stride = 0;  // of all three matrices
};

std::size_t matrix_size(std::size_t rows, std::size_t cols, std::size_t stride) {
  return rows == 0 ? 0 : (rows - 1) * stride + cols;
}

/// Both products of random matrices, fresh and added, against sums in double.
void check(const Shape& s, Random& random) {
  const std::size_t a_stride = s.k + s.extra_stride;
  const std::size_t c_stride = s.n + s.extra_stride;
  const auto a = random_floats(matrix_size(s.m, s.k, a_stride), random, 1.0F, random.below(8));
  const auto before = random_floats(matrix_size(s.m, s.n, c_stride), random, 1.0F, random.below(8));
  for (const bool transposed : {true, false}) {
    const std::size_t b_stride = (transposed ? s.k : s.n) + s.extra_stride;
    const std::size_t b_size = transposed ? matrix_size(s.n, s.k, b_stride) : matrix_size(s.k, s.n, b_stride);
    const auto b = random_floats(b_size, random, 1.0F, random.below(8));
    for (const bool add : {true, false}) {
      for (const NamedOps& named : all_ops()) {
        auto c = before;
        (transposed ? named.ops->gemm_nt : named.ops->gemm_nn)({.a = a.data(),
                                                                .a_stride = a_stride,
                                                                .b = b.data(),
                                                                .b_stride = b_stride,
                                                                .c = c.data(),
                                                                .c_stride = c_stride,
                                                                .m = s.m,
                                                                .n = s.n,
                                                                .k = s.k,
                                                                .add = add});
        for (std::size_t i = 0; i < c.size(); ++i) {
          const std::size_t row = i / c_stride;
          const std::size_t column = i % c_stride;
          if (column >= s.n) {
            ASSERT_EQ(c[i], before[i]) << named.name << " writes between the rows";
            continue;
          }
          double sum = add ? before[i] : 0.0F;
          for (std::size_t x = 0; x < s.k; ++x) {
            sum +=
                double{a[row * a_stride + x]} * b[transposed ? column * b_stride + x : x * b_stride + column];
          }
          ASSERT_NEAR(c[i], sum, 1e-7 * static_cast<double>(s.k + 3))
              << named.name << (transposed ? " nt " : " nn ") << s.m << " x " << s.n << " x " << s.k;
        }
      }
    }
  }
}

TEST(Gemm, RandomShapes) {
  Random random(1);
  for (int i = 0; i < 60; ++i)
    check({random.below(40), random.below(90), random.below(70), random.below(2) * 5}, random);
}

TEST(Gemm, EdgeShapes) {
  Random random(2);
  for (std::size_t m : {1, 2, 6, 7, 12, 13, 25}) {
    for (std::size_t n : {1, 7, 8, 15, 16, 17, 31, 32, 33}) check({m, n, 9}, random);
  }
  check({3, 5, 0}, random);
  check({20, 5, 0}, random);
  check({0, 5, 5}, random);
  check({5, 0, 5}, random);
}

TEST(Gemm, MoreThanOneBlockInEveryDimension) {
  Random random(3);
  check({30, 150, 600}, random);
  check({5, 150, 600}, random);
  check({13, 64, 256}, random);
}

/// Random x [tokens, cols] and w [rows, cols].
struct SgemmCase {
  std::size_t tokens, cols, rows;
  Exact<float> x, w;

  SgemmCase(std::size_t tokens_, std::size_t cols_, std::size_t rows_, Random& random)
      : tokens(tokens_),
        cols(cols_),
        rows(rows_),
        x(random_floats(tokens * cols, random)),
        w(random_floats(rows * cols, random)) {}

  Exact<float> whole() const {
    Exact<float> y(tokens * rows);
    sgemm(x.data(), tokens, cols, w.data(), rows, y.data(), rows);
    return y;
  }
};

TEST(Sgemm, MultipliesEachTokenByEachRow) {
  Random random(4);
  for (std::size_t tokens : {1, 5, 40}) {
    const SgemmCase s(tokens, 70, 33, random);
    const auto y = s.whole();
    for (std::size_t t = 0; t < tokens; ++t) {
      for (std::size_t r = 0; r < s.rows; ++r) {
        double sum = 0;
        for (std::size_t c = 0; c < s.cols; ++c) sum += double{s.x[t * s.cols + c]} * s.w[r * s.cols + c];
        EXPECT_NEAR(y[t * s.rows + r], sum, 1e-5);
      }
    }
  }
}

TEST(Sgemm, BlocksOfRowsEqualTheWholeBitForBit) {
  Random random(5);
  for (std::size_t tokens : {1, 3, 12, 13, 50}) {
    const SgemmCase s(tokens, 300, 101, random);
    const auto whole = s.whole();
    for (std::size_t block : {1, 7, 32, 100}) {
      Exact<float> y(tokens * s.rows);
      for (std::size_t r = 0; r < s.rows; r += block) {
        sgemm(s.x.data(), tokens, s.cols, s.w.data() + r * s.cols, std::min(block, s.rows - r), y.data() + r,
              s.rows);
      }
      EXPECT_TRUE(y.values() == whole.values()) << tokens << " tokens, blocks of " << block;
    }
  }
}

TEST(Sgemm, BlocksOfTokensEqualTheWholeBitForBit) {
  Random random(6);
  const SgemmCase many(100, 300, 40, random);
  const SgemmCase few(kFewRows, 300, 40, random);
  for (std::size_t cut : {kFewRows + 1, std::size_t{50}, 99 - kFewRows}) {
    Exact<float> y(many.tokens * many.rows);
    sgemm(many.x.data(), cut, many.cols, many.w.data(), many.rows, y.data(), many.rows);
    sgemm(many.x.data() + cut * many.cols, many.tokens - cut, many.cols, many.w.data(), many.rows,
          y.data() + cut * many.rows, many.rows);
    EXPECT_TRUE(y.values() == many.whole().values()) << "cut at " << cut;
  }
  Exact<float> y(few.tokens * few.rows);
  for (std::size_t t = 0; t < few.tokens; ++t) {
    sgemm(few.x.data() + t * few.cols, 1, few.cols, few.w.data(), few.rows, y.data() + t * few.rows,
          few.rows);
  }
  EXPECT_TRUE(y.values() == few.whole().values());
}

}  // namespace
}  // namespace twofold
