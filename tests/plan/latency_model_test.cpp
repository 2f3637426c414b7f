#include "plan/latency_model.h"

#include <gtest/gtest.h>

#include <array>

namespace twofold {
namespace {

TEST(LatencyModel, HopsAddUpUnlessTheyOverlap) {
  const std::array hops = {2.0, 6.0, 3.0};
  EXPECT_DOUBLE_EQ(serial_access(hops), 1.0);
  EXPECT_DOUBLE_EQ(overlapped_access(hops), 2.0);
}

TEST(LatencyModel, SerialIsTheSumOfAllStages) {
  // 12 / (2 * 3) + 12 / 4 + 12 / 6 = 2 + 3 + 2, and an uncompressed chunk: 12 / 3 + 12 / 6.
  const ChunkRates coded{12, 2, 3, 4, 6};
  const ChunkRates raw{12, 1, 3, 0, 6};
  EXPECT_DOUBLE_EQ(serial_seconds(std::array{coded}), 7);
  EXPECT_DOUBLE_EQ(serial_seconds(std::array{raw}), 6);
  EXPECT_DOUBLE_EQ(serial_seconds(std::array{coded, raw, coded}), 20);
  EXPECT_DOUBLE_EQ(serial_seconds({}), 0);
}

TEST(LatencyModel, PipelinedIsTheSlowestStageAndWhatCannotOverlap) {
  const ChunkRates chunk{12, 2, 3, 4, 6};  // 2, 3, 2 seconds: decoding is the slowest
  EXPECT_DOUBLE_EQ(pipelined_seconds(std::array{chunk}), 7);
  EXPECT_DOUBLE_EQ(pipelined_seconds(std::array{chunk, chunk}), 10);
  EXPECT_DOUBLE_EQ(pipelined_seconds(std::array{chunk, chunk, chunk, chunk}), 2 + 4 * 3 + 2);
  const ChunkRates slow_access{12, 1, 1, 4, 6};  // 12, 3, 2
  EXPECT_DOUBLE_EQ(pipelined_seconds(std::array{slow_access, slow_access}), 24 + 3 + 2);
  EXPECT_DOUBLE_EQ(pipelined_seconds({}), 0);
}

TEST(LatencyModel, ResidentPassIsTheSumOfItsProducts) {
  const std::array steps = {PassStep{1, 0, 0}, PassStep{2, 0, 0}, PassStep{0.5, 0, 0}};
  EXPECT_DOUBLE_EQ(pass_seconds(steps, 0), 3.5);
}

TEST(LatencyModel, ReadingHidesBehindComputingWhileTheBufferHasRoom) {
  // One tensor of four is streamed: 3 s to read while the others take 3 s.
  const std::array steps = {PassStep{1, 3, 10}, PassStep{1, 0, 0}, PassStep{1, 0, 0}, PassStep{1, 0, 0}};
  EXPECT_DOUBLE_EQ(pass_seconds(steps, 20), 4);
  // With room for that one only, its own product cannot overlap with reading it again.
  EXPECT_DOUBLE_EQ(pass_seconds(steps, 10), 4);
  const std::array longer = {PassStep{1, 5, 10}, PassStep{1, 0, 0}, PassStep{1, 0, 0}, PassStep{1, 0, 0}};
  EXPECT_DOUBLE_EQ(pass_seconds(longer, 20), 5);
  EXPECT_DOUBLE_EQ(pass_seconds(longer, 10), 6);
}

TEST(LatencyModel, EverythingStreamedTakesAsLongAsReading) {
  const std::array steps = {PassStep{1, 4, 10}, PassStep{1, 4, 10}, PassStep{1, 4, 10}};
  EXPECT_DOUBLE_EQ(pass_seconds(steps, 20), 12);
  // A buffer for one tensor: reading waits for each product.
  EXPECT_DOUBLE_EQ(pass_seconds(steps, 10), 15);
  // Larger than the buffer is no deadlock.
  EXPECT_DOUBLE_EQ(pass_seconds(steps, 5), 15);
  const std::array fast = {PassStep{4, 1, 10}, PassStep{4, 1, 10}};
  EXPECT_DOUBLE_EQ(pass_seconds(fast, 20), 8);
}

}  // namespace
}  // namespace twofold
