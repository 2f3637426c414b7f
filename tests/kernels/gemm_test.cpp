#include <gtest/gtest.h>

#include <atomic>
#include <cmath>

#include "base/thread_pool.h"
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

// What lets attention cut its work at will.
TEST(Gemm, BlocksOfTheResultEqualTheWholeBitForBit) {
  Random random(7);
  constexpr std::size_t kM = 60;
  constexpr std::size_t kN = 90;
  constexpr std::size_t kK = 300;
  const auto a = random_floats(kM * kK, random);
  const auto b = random_floats(kN * kK, random);
  for (const NamedOps& named : all_ops()) {
    for (const bool transposed : {true, false}) {
      const std::size_t b_stride = transposed ? kK : kN;
      const auto multiply = [&](std::size_t row, std::size_t m, std::size_t column, std::size_t n, float* c) {
        (transposed ? named.ops->gemm_nt
                    : named.ops->gemm_nn)({.a = a.data() + row * kK,
                                           .a_stride = kK,
                                           .b = b.data() + column * (transposed ? kK : 1),
                                           .b_stride = b_stride,
                                           .c = c + row * kN + column,
                                           .c_stride = kN,
                                           .m = m,
                                           .n = n,
                                           .k = kK});
      };
      Exact<float> whole(kM * kN);
      multiply(0, kM, 0, kN, whole.data());
      for (const std::size_t row : {kFewRows + 1, std::size_t{30}}) {
        for (const std::size_t column : {1, 17, 64}) {
          Exact<float> parts(kM * kN);
          multiply(0, row, 0, column, parts.data());
          multiply(row, kM - row, 0, column, parts.data());
          multiply(0, row, column, kN - column, parts.data());
          multiply(row, kM - row, column, kN - column, parts.data());
          EXPECT_TRUE(parts.values() == whole.values())
              << named.name << (transposed ? " nt" : " nn") << ", cut at " << row << ", " << column;
        }
      }
    }
  }
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

TEST(Sgemm, ShapesWithNothingInThem) {
  const float one = 1.0F;
  for (std::size_t tokens : {2, 40}) {
    Exact<float> y(tokens * 3);
    for (std::size_t i = 0; i < y.size(); ++i) y[i] = 7.0F;
    sgemm(&one, tokens, 0, &one, 3, y.data(), 3);  // empty sums are zero
    EXPECT_EQ(y.values(), std::vector<float>(tokens * 3));
    sgemm(&one, tokens, 1, &one, 0, y.data(), 3);
    sgemm(&one, 0, 1, &one, 1, y.data(), 3);
    EXPECT_EQ(y.values(), std::vector<float>(tokens * 3));
  }
}

TEST(Sgemm, UpToFewRowsNeitherRowBlocksNorTokenBlocksChangeABit) {
  Random random(6);
  const SgemmCase s(kFewRows, 300, 101, random);
  const auto whole = s.whole();
  for (std::size_t block : {1, 7, 100}) {
    Exact<float> y(s.tokens * s.rows);
    for (std::size_t r = 0; r < s.rows; r += block) {
      sgemm(s.x.data(), s.tokens, s.cols, s.w.data() + r * s.cols, std::min(block, s.rows - r), y.data() + r,
            s.rows);
    }
    EXPECT_TRUE(y.values() == whole.values()) << "blocks of " << block << " rows";
  }
  Exact<float> y(s.tokens * s.rows);
  for (std::size_t t = 0; t < s.tokens; ++t) {
    sgemm(s.x.data() + t * s.cols, 1, s.cols, s.w.data(), s.rows, y.data() + t * s.rows, s.rows);
  }
  EXPECT_TRUE(y.values() == whole.values()) << "token by token";
}

// A BLAS may share buffers between callers without a lock: OpenBLAS built for one thread does, and gives some
// callers the product of another.
TEST(Sgemm, ThreadsAtTheSameTimeEachGetTheirOwnProduct) {
  Random random(5);
  std::vector<SgemmCase> cases;
  std::vector<std::vector<float>> expected;
  for (std::size_t i = 0; i < 4; ++i) {
    cases.emplace_back(24 + i, 24 + i, 24 + i, random);
    expected.push_back(cases[i].whole().values());
  }
  constexpr int kRepeats = 100000;
  std::atomic<int> wrong{0};
  ThreadPool pool(4);
  pool.run(cases.size(), [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t i = begin; i < end; ++i) {
      const SgemmCase& s = cases[i];
      std::vector<float> y(expected[i].size());
      for (int repeat = 0; repeat < kRepeats; ++repeat) {
        sgemm(s.x.data(), s.tokens, s.cols, s.w.data(), s.rows, y.data(), s.rows);
        wrong += y != expected[i];
      }
    }
  });
  EXPECT_EQ(wrong, 0) << "of " << 4 * kRepeats << " products";
}

}  // namespace
}  // namespace twofold
