#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "kernels/all_ops.h"
#include "kernels/test_data.h"

namespace twofold {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

std::vector<std::int8_t> quantized(const Ops& ops, const Exact<float>& x, const float* inv_scale,
                                   float inv_step) {
  Exact<std::int8_t> q(x.size());
  ops.quantize(x.data(), inv_scale, inv_step, x.size(), q.data());
  return q.values();
}

Exact<float> exact(const std::vector<float>& values) {
  Exact<float> x(values.size());
  std::copy(values.begin(), values.end(), x.data());
  return x;
}

TEST(Quantize, HalvesGoToTheEvenNeighbour) {
  const auto x = exact({0.5F, 1.5F, 2.5F, -0.5F, -1.5F, -2.5F, 126.5F, 0.4999F, 0.5001F});
  for (const NamedOps& named : all_ops()) {
    EXPECT_THAT(quantized(*named.ops, x, nullptr, 1.0F), testing::ElementsAre(0, 2, 2, 0, -2, -2, 126, 0, 1))
        << named.name;
  }
}

TEST(Quantize, ClampsToThe127OfEitherSign) {
  const auto x = exact({127.4F, 127.5F, 1e30F, kInfinity, -127.4F, -127.5F, -1e30F, -kInfinity});
  for (const NamedOps& named : all_ops()) {
    EXPECT_THAT(quantized(*named.ops, x, nullptr, 1.0F),
                testing::ElementsAre(127, 127, 127, 127, -127, -127, -127, -127))
        << named.name;
  }
}

TEST(Quantize, NotANumberGivesZero) {
  const auto x = exact({kNaN, -kNaN, kInfinity, 0.0F, 3.0F});
  const auto inv_scale = exact({1.0F, 1.0F, 0.0F, kInfinity, kNaN});  // infinity * 0 is NaN too
  for (const NamedOps& named : all_ops()) {
    EXPECT_THAT(quantized(*named.ops, x, inv_scale.data(), 1.0F), testing::Each(0)) << named.name;
  }
}

// The exact product is 14.5000007 and both (inv_scale * inv_step) * x and a fused product give 15; rounded
// after each product as the interface says, it is 14.5 and goes to the even 14.
TEST(Quantize, RoundsAfterEachOfTheTwoProducts) {
  const auto x = exact({0x1.1ad1aep+1F});
  const float inv_scale = 0x1.18p+1F;
  for (const NamedOps& named : all_ops()) {
    EXPECT_THAT(quantized(*named.ops, x, &inv_scale, 3.0F), testing::ElementsAre(14)) << named.name;
  }
}

TEST(Quantize, EveryInstructionSetGivesTheSameIntegersForAnyBits) {
  Random random(1);
  for (std::size_t n = 0; n < 300; ++n) {
    Exact<float> x(n, random.below(8));
    Exact<float> inv_scale(n, random.below(8));
    for (std::size_t i = 0; i < n; ++i) {
      // Any bits at all in one case of four: denormals, NaNs and infinities among them.
      x[i] = random.below(4) == 0 ? std::bit_cast<float>(static_cast<std::uint32_t>(random.next()))
                                  : static_cast<float>(random.uniform() - 0.5) * 300.0F;
      inv_scale[i] = static_cast<float>(random.uniform()) * 2.0F;
    }
    const float inv_step = static_cast<float>(random.uniform()) * 2.0F;
    const std::vector<std::int8_t> plain = quantized(scalar_ops(), x, nullptr, inv_step);
    const std::vector<std::int8_t> scaled = quantized(scalar_ops(), x, inv_scale.data(), inv_step);
    for (const NamedOps& named : all_ops()) {
      EXPECT_TRUE(quantized(*named.ops, x, nullptr, inv_step) == plain) << named.name << ", n = " << n;
      EXPECT_TRUE(quantized(*named.ops, x, inv_scale.data(), inv_step) == scaled)
          << named.name << ", n = " << n;
    }
  }
}

TEST(AbsMax, EveryInstructionSetGivesTheSameBits) {
  Random random(2);
  for (std::size_t n = 0; n < 300; ++n) {
    const auto x = random_floats(n, random, 10.0F, random.below(8));
    const auto inv_scale = random_floats(n, random, 2.0F, random.below(8));
    float plain = 0.0F;
    float scaled = 0.0F;
    for (std::size_t i = 0; i < n; ++i) {
      plain = std::max(plain, std::fabs(x[i]));
      scaled = std::max(scaled, std::fabs(x[i] * inv_scale[i]));
    }
    for (const NamedOps& named : all_ops()) {
      EXPECT_EQ(named.ops->abs_max(x.data(), nullptr, n), plain) << named.name << ", n = " << n;
      EXPECT_EQ(named.ops->abs_max(x.data(), inv_scale.data(), n), scaled) << named.name << ", n = " << n;
    }
  }
}

TEST(AbsMax, PassesOverNotANumberAndKeepsInfinity) {
  for (std::size_t place = 0; place < 40; ++place) {
    Exact<float> x(40);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = kNaN;
    for (const NamedOps& named : all_ops()) {
      x[place] = -3.0F;
      EXPECT_EQ(named.ops->abs_max(x.data(), nullptr, x.size()), 3.0F) << named.name;
      x[place] = -kInfinity;
      EXPECT_EQ(named.ops->abs_max(x.data(), nullptr, x.size()), kInfinity) << named.name;
    }
  }
}

}  // namespace
}  // namespace twofold
