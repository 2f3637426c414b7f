#include "runtime/memory_budget.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <charconv>

#include "expect_error.h"

namespace twofold {
namespace {

constexpr std::uint64_t kMegabyte = 1'000'000;

/// Two layers of a Llama with 64 million weights each.
ModelSpec spec() {
  ModelSpec spec;
  spec.hidden_size = 4096;
  spec.heads = spec.kv_heads = 32;
  spec.head_dim = 128;
  spec.vocab_size = 32000;
  LayerSpec layer;
  layer.feed_forward.gated = true;
  layer.feed_forward.in = {{"gate", 11008, 4096}, {"up", 11008, 4096}};
  layer.feed_forward.down = {"down", 4096, 11008};
  spec.layers = {layer, layer};
  return spec;
}

MemoryNeeds needs() {
  MemoryNeeds needs;
  needs.process = 20 * kMegabyte;
  needs.largest_part = 80 << 10;
  needs.scratch = {2, 1 << 16, 16, false};
  for (int i = 0; i < 20; ++i) needs.weights.push_back({"w" + std::to_string(i), 8 * kMegabyte, 1});
  return needs;
}

MemoryOptions options(std::uint64_t budget) {
  MemoryOptions options;
  options.budget = budget;
  options.use = {.context = 700, .prompt = 512};
  return options;
}

std::uint64_t sum(const MemoryReport& report) {
  return report.process + report.cache + report.scratch + report.buffer + report.resident;
}

TEST(MemoryBudget, EverythingTogetherStaysWithinItAndMoreMemoryStreamsLess) {
  std::uint64_t streamed = UINT64_MAX;
  for (std::uint64_t budget = 80 * kMegabyte; budget < 400 * kMegabyte; budget += 17 * kMegabyte) {
    const MemorySplit split = split_budget(spec(), options(budget), needs());
    EXPECT_LE(sum(split.report), budget);
    EXPECT_EQ(split.plan.size(), 20U);
    EXPECT_LE(split.report.streamed, streamed);
    EXPECT_GE(split.report.block_tokens, 16);
    streamed = split.report.streamed;
    EXPECT_TRUE(streamed == 0 || split.report.buffer >= 2 * needs().largest_part);
  }
  EXPECT_EQ(streamed, 0U);
  const MemoryReport rich = split_budget(spec(), options(1000 * kMegabyte), needs()).report;
  EXPECT_EQ(rich.buffer, 0U);
  EXPECT_EQ(rich.block_tokens, 512);
}

TEST(MemoryBudget, TooSmallAOneIsRefusedWithTheLeastThatWouldDo) {
  const std::string message = error_of([] { split_budget(spec(), options(10 * kMegabyte), needs()); });
  const auto at = message.find("at least ");
  ASSERT_NE(at, std::string::npos) << message;
  std::uint64_t megabytes = 0;
  std::from_chars(message.data() + at + 9, message.data() + message.size(), megabytes);
  EXPECT_NO_THROW(split_budget(spec(), options(megabytes * kMegabyte), needs()));
  EXPECT_THROW(split_budget(spec(), options((megabytes - 2) * kMegabyte), needs()), Error);
  MemoryNeeds after_a_peak = needs();
  after_a_peak.peak = 500 * kMegabyte;
  EXPECT_THROW(split_budget(spec(), options(499 * kMegabyte), after_a_peak), Error);
}

TEST(MemoryBudget, AGivenPlanIsKeptOrRefused) {
  MemoryOptions given = options(400 * kMegabyte);
  given.plan = {{"w3", Residency::kResident}, {"w4", Residency::kStreamed}};
  const MemorySplit split = split_budget(spec(), given, needs());
  EXPECT_EQ(split.plan.at("w3"), Residency::kResident);
  EXPECT_EQ(split.plan.at("w9"), Residency::kStreamed);  // not named
  EXPECT_EQ(split.report.streamed, 19 * 8 * kMegabyte);
  given.plan["none"] = Residency::kResident;
  EXPECT_THAT(error_of([&] { split_budget(spec(), given, needs()); }), ::testing::HasSubstr("\"none\""));
  given.plan.clear();
  for (const WeightSize& weight : needs().weights) given.plan[weight.name] = Residency::kResident;
  given.budget = 150 * kMegabyte;
  EXPECT_THAT(error_of([&] { split_budget(spec(), given, needs()); }),
              ::testing::HasSubstr("its resident weights take"));
}

}  // namespace
}  // namespace twofold
