#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/all_ops.h"
#include "kernels/test_data.h"

namespace twofold {
namespace {

struct Shape {
  std::size_t rows, cols, tokens;
  std::size_t extra_stride = 0;  // of x and out, beyond what they need
};

constexpr std::int32_t kUntouched = 0x5a5a5a5a;

/// The sums where matmul_i8 puts them, and kUntouched between.
std::vector<std::int32_t> reference(const Shape& s, const Exact<std::int8_t>& w,
                                    const Exact<std::int8_t>& x) {
  if (s.tokens == 0 || s.rows == 0) return {};
  const std::size_t stride = s.rows + s.extra_stride;
  std::vector<std::int32_t> out((s.tokens - 1) * stride + s.rows, kUntouched);
  for (std::size_t t = 0; t < s.tokens; ++t) {
    for (std::size_t r = 0; r < s.rows; ++r) {
      std::int64_t sum = 0;
      for (std::size_t c = 0; c < s.cols; ++c) {
        sum += std::int64_t{w[r * s.cols + c]} * x[t * (s.cols + s.extra_stride) + c];
      }
      out[t * stride + r] = static_cast<std::int32_t>(sum);
    }
  }
  return out;
}

std::size_t size_of_x(const Shape& s) {
  return s.tokens == 0 ? 0 : (s.tokens - 1) * (s.cols + s.extra_stride) + s.cols;
}

/// Packs in two parts where there is more than one group of tokens, as threads would.
void multiply(const Ops& ops, const Shape& s, const Exact<std::int8_t>& w, const Exact<std::int8_t>& x,
              Exact<std::int32_t>& out, std::size_t out_stride) {
  Exact<std::int8_t> packed(packed_i8_size(s.tokens, s.cols));
  const std::size_t cut = std::min(s.tokens, kPackedTokens);
  const std::size_t stride = s.cols + s.extra_stride;
  ops.pack_i8(x.data(), stride, s.cols, s.tokens, cut, s.tokens, packed.data());
  ops.pack_i8(x.data(), stride, s.cols, s.tokens, 0, cut, packed.data());
  ops.matmul_i8(w.data(), s.rows, s.cols, packed.data(), s.tokens, out.data(), out_stride);
}

void expect_equal_everywhere(const Shape& s, const Exact<std::int8_t>& w, const Exact<std::int8_t>& x) {
  const std::vector<std::int32_t> expected = reference(s, w, x);
  for (const NamedOps& named : all_ops()) {
    Exact<std::int32_t> out(expected.size());
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = kUntouched;
    multiply(*named.ops, s, w, x, out, s.rows + s.extra_stride);
    EXPECT_TRUE(out.values() == expected)
        << named.name << ": " << s.rows << " rows, " << s.cols << " columns, " << s.tokens
        << " tokens, stride + " << s.extra_stride;
  }
}

void check_random(const Shape& s, Random& random, int magnitude = 127) {
  const auto w = random_bytes(s.rows * s.cols, random, magnitude, random.below(32));
  const auto x = random_bytes(size_of_x(s), random, 127, random.below(32));
  expect_equal_everywhere(s, w, x);
}

TEST(MatmulI8, EveryShapeGivesTheExactSums) {
  Random random(1);
  for (int i = 0; i < 150; ++i) {
    check_random({random.below(40), random.below(301), random.below(12), random.below(2) * random.below(40)},
                 random);
  }
  for (int i = 0; i < 20; ++i)
    check_random({random.below(20), random.below(150), 28 + random.below(12)}, random);
}

TEST(MatmulI8, ColumnsAroundTheVectorSizes) {
  Random random(2);
  for (std::size_t cols : {0, 1, 2, 31, 32, 33, 63, 64, 65, 95, 96, 97, 127, 128, 129}) {
    for (std::size_t tokens : {1, 2, 3, 4, 5, 7}) check_random({9, cols, tokens}, random);
    check_random({1, cols, 1}, random);
  }
}

TEST(MatmulI8, NoRowsOrNoTokensWriteNothing) {
  Random random(3);
  check_random({0, 100, 3}, random);
  check_random({5, 100, 0}, random);
  check_random({0, 0, 0}, random);
}

TEST(MatmulI8, MoreColumnsAndRowsThanOneCacheBlock) {
  Random random(4);
  check_random({3, 4096, 5}, random);
  check_random({5, 4097, 4}, random);
  check_random({2, 4096 + 31, 33}, random);
  check_random({3, 2 * 4096 + 70, 6}, random);
  check_random({131, 64, 5}, random);
  check_random({133, 40, 32}, random);
}

// Weights up to 64 take a path of their own when there are many tokens; it must be chosen for them alone.
TEST(MatmulI8, WeightsAtTheLimitOfTheSmallOnes) {
  Random random(5);
  for (int magnitude : {1, 63, 64, 65}) {
    for (std::size_t cols : {32, 50, 4096 + 40}) check_random({6, cols, 33}, random, magnitude);
  }
  const Shape s{4, 77, 32};
  for (int large : {65, -65, 127, -127}) {
    for (std::size_t place : {0, 31, 32, 76, 77, 3 * 77 + 76}) {  // in any row, the tail of a row included
      auto w = random_bytes(s.rows * s.cols, random, 64);
      w[place] = static_cast<std::int8_t>(large);
      Exact<std::int8_t> x(size_of_x(s));
      for (std::size_t i = 0; i < x.size(); ++i) x[i] = random.below(2) == 0 ? 127 : -127;
      expect_equal_everywhere(s, w, x);
    }
  }
}

TEST(MatmulI8, TheLongestRowsOfExtremesDoNotOverflow) {
  constexpr std::size_t kMaxCols = 131072;
  for (const int weight : {127, -127, 65, 64, -64}) {
    for (const int value : {127, -127}) {
      for (const Shape& s : {Shape{1, kMaxCols, 1}, Shape{5, kMaxCols, 3}, Shape{2, kMaxCols, 33}}) {
        if (s.tokens > 3 && weight == 127) continue;  // the slow ones once
        Exact<std::int8_t> w(s.rows * s.cols);
        Exact<std::int8_t> x(size_of_x(s));
        for (std::size_t i = 0; i < w.size(); ++i) w[i] = static_cast<std::int8_t>(weight);
        for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<std::int8_t>(value);
        const std::int32_t sum = weight * value * static_cast<std::int32_t>(kMaxCols);
        for (const NamedOps& named : all_ops()) {
          Exact<std::int32_t> out(s.rows * s.tokens);
          multiply(*named.ops, s, w, x, out, s.rows);
          EXPECT_THAT(out.values(), testing::Each(sum)) << named.name;
        }
      }
    }
  }
}

}  // namespace
}  // namespace twofold
