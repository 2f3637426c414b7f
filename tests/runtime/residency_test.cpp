#include "runtime/residency.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace twofold {
namespace {

std::vector<WeightSize> layers(int count, std::uint64_t bytes) {
  std::vector<WeightSize> weights;
  for (int i = 0; i < count; ++i) weights.push_back({"layer." + std::to_string(i), bytes, 1});
  return weights;
}

std::uint64_t resident_bytes(const std::vector<WeightSize>& weights, const ResidencyPlan& plan) {
  std::uint64_t total = 0;
  for (const WeightSize& weight : weights)
    total += plan.at(weight.name) == Residency::kResident ? weight.resident_bytes() : 0;
  return total;
}

TEST(Residency, SpreadsResidentsEvenlyOverTheOrderOfUse) {
  const auto weights = layers(40, 1 << 20);
  const ResidencyPlan plan = spread_residency(weights, 10 * weights[0].resident_bytes());
  EXPECT_EQ(resident_bytes(weights, plan), 10 * weights[0].resident_bytes());
  for (int first = 0; first < 40; first += 4) {
    int residents = 0;
    for (int i = first; i < first + 4; ++i)
      residents += plan.at(weights[static_cast<std::size_t>(i)].name) == Residency::kResident ? 1 : 0;
    EXPECT_EQ(residents, 1) << "from " << first;
  }
}

TEST(Residency, FillsTheMemoryAndNeverPassesIt) {
  std::vector<WeightSize> weights = layers(30, 1 << 20);
  for (std::size_t i = 0; i < weights.size(); ++i) weights[i].bytes = (i * 7919 % 13 + 1) << 16;
  std::uint64_t all = 0;
  for (const WeightSize& weight : weights) all += weight.resident_bytes();
  for (std::uint64_t memory = 0; memory <= all; memory += all / 37) {
    const ResidencyPlan plan = spread_residency(weights, memory);
    const std::uint64_t used = resident_bytes(weights, plan);
    EXPECT_LE(used, memory);
    for (const WeightSize& weight : weights) {
      if (plan.at(weight.name) == Residency::kStreamed) {
        EXPECT_GT(weight.resident_bytes(), memory - used);
      }
    }
  }
  EXPECT_EQ(resident_bytes(weights, spread_residency(weights, all)), all);
}

TEST(Residency, WhatIsReadMostOftenIsKeptFirst) {
  std::vector<WeightSize> weights = layers(4, 1 << 20);
  weights[1].reads = 0.25;  // an expert
  weights[3].reads = 8;     // the head of an evaluation
  const ResidencyPlan plan = spread_residency(weights, 3 * weights[0].resident_bytes());
  EXPECT_THAT(plan, ::testing::ElementsAre(::testing::Pair("layer.0", Residency::kResident),
                                           ::testing::Pair("layer.1", Residency::kStreamed),
                                           ::testing::Pair("layer.2", Residency::kResident),
                                           ::testing::Pair("layer.3", Residency::kResident)));
}

}  // namespace
}  // namespace twofold
