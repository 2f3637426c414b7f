#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "kernels/all_ops.h"
#include "kernels/test_data.h"
#include "tensor/dtype.h"

namespace twofold {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Bound on the rounding of a float sum of n terms whose magnitudes sum to `total`.
double sum_tolerance(std::size_t n, double total) {
  return static_cast<double>(n + 2) * 0x1p-24 * total + 1e-30;
}

TEST(Dot, IsTheSumOfProducts) {
  Random random(1);
  for (std::size_t n = 0; n < 300; ++n) {
    const auto a = random_floats(n, random, 1.0F, random.below(8));
    const auto b = random_floats(n, random, 1.0F, random.below(8));
    double sum = 0;
    double total = 0;
    for (std::size_t i = 0; i < n; ++i) {
      sum += double{a[i]} * b[i];
      total += std::fabs(double{a[i]} * b[i]);
    }
    for (const NamedOps& named : all_ops()) {
      EXPECT_NEAR(named.ops->dot(a.data(), b.data(), n), sum, sum_tolerance(n, total))
          << named.name << ", n = " << n;
    }
  }
}

TEST(Axpy, AddsTheScaledVector) {
  Random random(2);
  for (std::size_t n = 0; n < 100; ++n) {
    const auto x = random_floats(n, random, 1.0F, random.below(8));
    const auto y = random_floats(n, random, 1.0F, random.below(8));
    for (const NamedOps& named : all_ops()) {
      auto sum = y;
      named.ops->axpy(-1.75F, x.data(), sum.data(), n);
      for (std::size_t i = 0; i < n; ++i) EXPECT_NEAR(sum[i], y[i] - 1.75 * x[i], 3e-7) << named.name;
    }
  }
}

TEST(RmsNorm, DividesByTheRootMeanSquare) {
  Random random(3);
  for (std::size_t n : {0, 1, 7, 8, 9, 16, 33, 64, 100, 300}) {
    const auto x = random_floats(n, random, 3.0F, random.below(8));
    const auto weight = random_floats(n, random, 2.0F, random.below(8));
    double squares = 0;
    for (std::size_t i = 0; i < n; ++i) squares += double{x[i]} * x[i];
    const double factor = 1 / std::sqrt(squares / static_cast<double>(n) + 1e-5);
    for (const NamedOps& named : all_ops()) {
      Exact<float> out(n);
      named.ops->rms_norm(x.data(), weight.data(), 1e-5F, n, out.data());
      for (std::size_t i = 0; i < n; ++i) {
        const double expected = x[i] * factor * weight[i];
        EXPECT_NEAR(out[i], expected, 2e-6 * std::fabs(expected)) << named.name << ", n = " << n;
      }
      auto in_place = x;
      named.ops->rms_norm(in_place.data(), weight.data(), 1e-5F, n, in_place.data());
      EXPECT_EQ(in_place.values(), out.values()) << named.name << ", n = " << n;
    }
  }
}

TEST(RmsNorm, OfZerosIsZero) {
  for (const NamedOps& named : all_ops()) {
    Exact<float> x(20);
    Exact<float> weight(20);
    for (std::size_t i = 0; i < 20; ++i) weight[i] = 2.0F;
    named.ops->rms_norm(x.data(), weight.data(), 1e-6F, 20, x.data());
    EXPECT_THAT(x.values(), testing::Each(0.0F)) << named.name;
  }
}

TEST(Softmax, GivesProbabilities) {
  Random random(4);
  for (std::size_t n = 1; n < 300; ++n) {
    const auto x = random_floats(n, random, 20.0F, random.below(8));
    double max = -kInfinity;
    for (std::size_t i = 0; i < n; ++i) max = std::max(max, double{x[i]});
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) sum += std::exp(x[i] - max);
    for (const NamedOps& named : all_ops()) {
      auto p = x;
      named.ops->softmax(p.data(), n);
      for (std::size_t i = 0; i < n; ++i) {
        const double expected = std::exp(x[i] - max) / sum;
        // The argument of exp is rounded to float, an error of 40 * 2^-25 for the widest difference.
        EXPECT_NEAR(p[i], expected, 4e-6 * expected + 1e-37) << named.name << ", n = " << n;
      }
    }
  }
}

TEST(Softmax, OfNothingIsNothing) {
  for (const NamedOps& named : all_ops()) {
    Exact<float> empty(0);
    named.ops->softmax(empty.data(), 0);
    float max = -2.5F;
    EXPECT_EQ(named.ops->softmax_part(empty.data(), 0, max), 0.0F) << named.name;
    EXPECT_EQ(max, -2.5F) << named.name;
  }
}

TEST(Softmax, MinusInfinityGetsNoWeightAndLargeLogitsDoNotOverflow) {
  for (const NamedOps& named : all_ops()) {
    for (std::size_t n : {3, 8, 16, 21}) {
      Exact<float> x(n);
      for (std::size_t i = 0; i < n; ++i) x[i] = -kInfinity;
      x[1] = 3e38F;
      x[n - 1] = 3e38F;
      named.ops->softmax(x.data(), n);
      for (std::size_t i = 0; i < n; ++i) {
        EXPECT_EQ(x[i], i == 1 || i == n - 1 ? 0.5F : 0.0F) << named.name << ", n = " << n;
      }
    }
  }
}

TEST(SoftmaxPart, IsExactExpToOnePartInAMillion) {
  for (const NamedOps& named : all_ops()) {
    double worst = 0;
    for (float begin = 0.0F; begin > -110.0F; begin -= 0.37F) {
      Exact<float> x(37);
      for (std::size_t i = 0; i < x.size(); ++i) x[i] = begin - static_cast<float>(i) * 0.01F;
      auto e = x;
      float max = 0.0F;
      const float sum = named.ops->softmax_part(e.data(), e.size(), max);
      EXPECT_EQ(max, 0.0F) << named.name;
      double expected_sum = 0;
      for (std::size_t i = 0; i < x.size(); ++i) {
        const double expected = std::exp(double{x[i]});
        expected_sum += expected;
        if (expected >= std::numeric_limits<float>::min())
          worst = std::max(worst, std::fabs(e[i] / expected - 1));
        EXPECT_NEAR(e[i], expected, 1e-6 * expected + 2e-45) << named.name << ", x = " << x[i];
      }
      EXPECT_NEAR(sum, expected_sum, 3e-6 * expected_sum + 1e-43) << named.name;
    }
    EXPECT_LT(worst, 2e-7) << named.name;
  }
}

TEST(SoftmaxPart, RaisesTheMaximumNeverLowersIt) {
  for (const NamedOps& named : all_ops()) {
    for (std::size_t place = 0; place < 21; ++place) {
      Exact<float> x(21);
      x[place] = 2.0F;
      float max = -kInfinity;
      EXPECT_NEAR(named.ops->softmax_part(x.data(), x.size(), max), 1 + 20 * std::exp(-2.0), 1e-5)
          << named.name;
      EXPECT_EQ(max, 2.0F) << named.name;
      max = 5.0F;
      named.ops->softmax_part(x.data(), x.size(), max);
      EXPECT_EQ(max, 5.0F) << named.name;
    }
  }
}

TEST(Swiglu, HoldsOverTheWholeRangeOfExp) {
  Random random(5);
  std::vector<float> gates = {0.0F,    -0.0F, 1e-30F, 87.0F,  88.5F,   89.0F,
                              1000.0F, 3e38F, -87.0F, -88.3F, -1000.0F};
  for (int i = 0; i < 3000; ++i) gates.push_back(static_cast<float>(random.uniform() * 200 - 100));
  for (const NamedOps& named : all_ops()) {
    Exact<float> x(gates.size());
    Exact<float> up(gates.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      x[i] = gates[i];
      up[i] = 0.75F;
    }
    named.ops->swiglu(x.data(), up.data(), x.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double g = gates[i];
      const double expected = g / (1 + std::exp(-g)) * 0.75;
      // Below -88.7 exp(-g) is infinite in float and the result 0; the true one is below 1e-36.
      EXPECT_NEAR(x[i], expected, 1e-6 * std::fabs(expected) + 1e-36) << named.name << ", gate = " << g;
    }
  }
}

TEST(Swiglu, EverySize) {
  Random random(6);
  for (std::size_t n = 0; n < 70; ++n) {
    const auto gate = random_floats(n, random, 4.0F, random.below(8));
    const auto up = random_floats(n, random, 4.0F, random.below(8));
    for (const NamedOps& named : all_ops()) {
      auto x = gate;
      named.ops->swiglu(x.data(), up.data(), n);
      for (std::size_t i = 0; i < n; ++i) {
        EXPECT_NEAR(x[i], gate[i] / (1 + std::exp(-double{gate[i]})) * up[i], 5e-6)
            << named.name << ", n = " << n;
      }
    }
  }
}

TEST(Rope, TurnsThePairsOfTheTwoHalves) {
  Random random(7);
  for (std::size_t half = 0; half < 70; ++half) {
    const auto x = random_floats(2 * half, random, 2.0F, random.below(8));
    Exact<float> cosines(half);
    Exact<float> sines(half);
    for (std::size_t i = 0; i < half; ++i) {
      const double angle = random.uniform() * 7;
      cosines[i] = static_cast<float>(std::cos(angle));
      sines[i] = static_cast<float>(std::sin(angle));
    }
    for (const NamedOps& named : all_ops()) {
      auto y = x;
      named.ops->rope(y.data(), cosines.data(), sines.data(), half);
      for (std::size_t i = 0; i < half; ++i) {
        EXPECT_NEAR(y[i], double{x[i]} * cosines[i] - double{x[half + i]} * sines[i], 1e-6) << named.name;
        EXPECT_NEAR(y[half + i], double{x[half + i]} * cosines[i] + double{x[i]} * sines[i], 1e-6)
            << named.name;
      }
    }
  }
}

// NaNs aside, whose payload F16C makes quiet.
TEST(Conversions, EveryBitPatternOfTheHalfFormats) {
  Exact<std::uint16_t> bits(65536);
  for (std::size_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<std::uint16_t>(i);
  for (const NamedOps& named : all_ops()) {
    Exact<float> out(bits.size());
    named.ops->bf16_to_float(bits.data(), out.data(), out.size());
    for (std::size_t i = 0; i < bits.size(); ++i) {
      ASSERT_EQ(std::bit_cast<std::uint32_t>(out[i]), std::uint32_t{bits[i]} << 16) << named.name;
    }
    named.ops->f16_to_float(bits.data(), out.data(), out.size());
    for (std::size_t i = 0; i < bits.size(); ++i) {
      const float expected = f16_to_float(bits[i]);
      if (std::isnan(expected)) {
        ASSERT_TRUE(std::isnan(out[i])) << named.name << ", bits " << i;
      } else {
        ASSERT_EQ(std::bit_cast<std::uint32_t>(out[i]), std::bit_cast<std::uint32_t>(expected)) << named.name;
      }
    }
  }
}

TEST(Conversions, EverySize) {
  for (std::size_t n = 0; n < 70; ++n) {
    Exact<std::uint16_t> bits(n, n % 5);
    for (std::size_t i = 0; i < n; ++i) bits[i] = static_cast<std::uint16_t>(0x3c00 + i);
    for (const NamedOps& named : all_ops()) {
      Exact<float> out(n);
      named.ops->bf16_to_float(bits.data(), out.data(), n);
      for (std::size_t i = 0; i < n; ++i) EXPECT_EQ(out[i], bf16_to_float(bits[i])) << named.name;
      named.ops->f16_to_float(bits.data(), out.data(), n);
      for (std::size_t i = 0; i < n; ++i) EXPECT_EQ(out[i], f16_to_float(bits[i])) << named.name;
    }
  }
}

TEST(Ops, EachTableNamesItsInstructionSet) {
  for (const Isa isa : available_isas()) EXPECT_EQ(ops_for(isa).isa, isa);
#if defined(__x86_64__)
  EXPECT_EQ(avx512_ops_emulated().isa, Isa::kAvx512);
#endif
  EXPECT_EQ(ops().isa, active_isa());
}

}  // namespace
}  // namespace twofold
