// The order of copies, decoding and products, on a device of which only the clock is there.

#include "kernels/cuda/pipeline.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "base/error.h"
#include "base/random.h"

namespace twofold {
namespace {

/// Streams whose work takes the time that is given for it; remembers who used which place when.
class Clock : public PipelineDevice {
 public:
  struct Use {
    double begin, end;
    std::size_t stage;
    bool writes;
  };

  Clock(std::vector<std::array<double, 3>> costs, std::size_t places)
      : costs_(std::move(costs)), uses_(places) {}

  void wait(Stream stream, std::size_t event) override {
    now(stream) = std::max(now(stream), events_[event]);
  }
  void record(Stream stream, std::size_t event) override { events_[event] = now(stream); }
  void copy(std::size_t stage, int slot) override { run(Stream::kCopy, stage, -1, slot); }
  void decode(std::size_t stage, int slot, int buffer) override {
    run(Stream::kDecode, stage, slot, kBuffers + buffer);
  }
  void compute(std::size_t stage, int slot, int buffer) override {
    run(Stream::kCompute, stage, buffer >= 0 ? kBuffers + buffer : slot, -1);
    computed.push_back(stage);
  }

  double end() const { return *std::max_element(now_.begin(), now_.end()); }
  /// Everyone found in a place what was put there for it, and nobody changed it meanwhile.
  void expect_no_clash() const {
    for (const std::vector<Use>& uses : uses_) {
      for (std::size_t i = 0; i < uses.size(); ++i) {
        if (!uses[i].writes) continue;
        for (std::size_t j = 0; j < i; ++j) EXPECT_LE(uses[j].end, uses[i].begin);
        for (std::size_t j = i + 1; j < uses.size() && !uses[j].writes; ++j) {
          EXPECT_LE(uses[i].end, uses[j].begin);
          EXPECT_EQ(uses[i].stage, uses[j].stage);
        }
      }
      if (!uses.empty()) {
        EXPECT_TRUE(uses[0].writes);
      }
    }
  }

  static constexpr int kBuffers = 8;  // places from here on are buffers
  std::vector<std::size_t> computed;

 private:
  double& now(Stream stream) { return now_[static_cast<std::size_t>(stream)]; }
  void run(Stream stream, std::size_t stage, int from, int to) {
    const double begin = now(stream);
    now(stream) += costs_[stage][static_cast<std::size_t>(stream)];
    if (from >= 0) uses_[static_cast<std::size_t>(from)].push_back({begin, now(stream), stage, false});
    if (to >= 0) uses_[static_cast<std::size_t>(to)].push_back({begin, now(stream), stage, true});
  }

  std::vector<std::array<double, 3>> costs_;
  std::array<double, 3> now_{};
  std::array<double, 64> events_{};
  std::vector<std::vector<Use>> uses_;
};

/// Time of a pass in the long run.
double pass_time(const std::vector<PipelineStage>& stages, const std::vector<std::array<double, 3>>& costs,
                 int slots, int buffers) {
  Clock clock(costs, 16);
  Pipeline pipeline(stages, slots, buffers, clock);
  constexpr std::size_t kPasses = 10;
  double first = 0;
  for (std::size_t i = 0; i < kPasses * stages.size(); ++i) {
    EXPECT_EQ(pipeline.stage(), i % stages.size());
    pipeline.next();
    if (i + 1 == stages.size() * kPasses / 2) first = clock.end();
  }
  clock.expect_no_clash();
  EXPECT_EQ(clock.computed.size(), kPasses * stages.size());
  for (std::size_t i = 0; i < clock.computed.size(); ++i) EXPECT_EQ(clock.computed[i], i % stages.size());
  return (clock.end() - first) / (kPasses - kPasses / 2);
}

TEST(Pipeline, TheThreeCasesOfTransferTakeTheLongestStreamsTime) {
  // Copying, decoding, computing; in each case another one is the slowest.
  const std::vector<std::array<double, 3>> costs(6, {3, 2, 1});
  const std::vector<PipelineStage> on_device(6, {false, true});
  EXPECT_NEAR(pass_time(on_device, costs, 0, 2), 12, 1e-9);
  const std::vector<PipelineStage> from_host(6, {true, true});
  EXPECT_NEAR(pass_time(from_host, costs, 2, 2), 18, 1e-9);
  std::vector<PipelineStage> swapped = on_device;
  swapped[1].copied = swapped[4].copied = true;
  EXPECT_NEAR(pass_time(swapped, costs, 2, 2), 12, 1.5);
  const std::vector<PipelineStage> coded(6, {true, false});
  EXPECT_NEAR(pass_time(coded, costs, 2, 0), 18, 1e-9);
  EXPECT_NEAR(pass_time(std::vector<PipelineStage>(6), costs, 0, 0), 6, 1e-9);
}

TEST(Pipeline, WithOnePlaceNothingOverlapsThere) {
  const std::vector<std::array<double, 3>> costs(4, {3, 2, 1});
  EXPECT_NEAR(pass_time(std::vector<PipelineStage>(4, {true, false}), costs, 1, 0), 16, 1e-9);
  EXPECT_NEAR(pass_time(std::vector<PipelineStage>(4, {true, true}), costs, 1, 1), 20, 1e-9);
  EXPECT_NEAR(pass_time(std::vector<PipelineStage>(4, {false, true}), costs, 0, 1), 12, 1e-9);
}

TEST(Pipeline, AnyStagesInAnyPlacesNeverClash) {
  Random random(5);
  for (int trial = 0; trial < 100; ++trial) {
    std::vector<PipelineStage> stages(1 + random.below(9));
    std::vector<std::array<double, 3>> costs(stages.size());
    std::array<double, 3> sums{};
    for (std::size_t i = 0; i < stages.size(); ++i) {
      stages[i] = {random.below(2) == 0, random.below(2) == 0};
      for (std::size_t k = 0; k < 3; ++k) costs[i][k] = random.uniform();
      sums[0] += stages[i].copied ? costs[i][0] : 0;
      sums[1] += stages[i].decoded ? costs[i][1] : 0;
      sums[2] += costs[i][2];
    }
    const double time = pass_time(stages, costs, 1 + static_cast<int>(random.below(4)),
                                  1 + static_cast<int>(random.below(4)));
    EXPECT_LE(time, 1.2 * (sums[0] + sums[1] + sums[2]));  // a part of a pass more or less at both ends
  }
}

TEST(Pipeline, PlacesThatAreNeededMustBeThere) {
  Clock clock({}, 16);
  EXPECT_THROW(Pipeline({}, 1, 1, clock), Error);
  EXPECT_THROW(Pipeline({{true, false}}, 0, 1, clock), Error);
  EXPECT_THROW(Pipeline({{false, true}}, 1, 0, clock), Error);
}

}  // namespace
}  // namespace twofold
