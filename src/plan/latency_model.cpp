#include "plan/latency_model.h"

#include <algorithm>
#include <array>
#include <deque>

namespace twofold {

namespace {

std::array<double, 3> stages(const ChunkRates& chunk) {
  return {chunk.bytes / (chunk.ratio * chunk.access), chunk.decode > 0 ? chunk.bytes / chunk.decode : 0,
          chunk.bytes / chunk.compute};
}

}  // namespace

double serial_access(std::span<const double> hops) {
  double inverse = 0;
  for (const double hop : hops) inverse += 1 / hop;
  return 1 / inverse;
}

double overlapped_access(std::span<const double> hops) {
  return *std::min_element(hops.begin(), hops.end());
}

double serial_seconds(std::span<const ChunkRates> chunks) {
  double total = 0;
  for (const ChunkRates& chunk : chunks) {
    for (const double stage : stages(chunk)) total += stage;
  }
  return total;
}

double pipelined_seconds(std::span<const ChunkRates> chunks) {
  if (chunks.empty()) return 0;
  std::array<double, 3> sums = {};
  for (const ChunkRates& chunk : chunks) {
    const auto of = stages(chunk);
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += of[i];
  }
  const auto slowest = static_cast<std::size_t>(std::max_element(sums.begin(), sums.end()) - sums.begin());
  const auto first = stages(chunks.front());
  const auto last = stages(chunks.back());
  double total = sums[slowest];
  for (std::size_t i = 0; i < slowest; ++i) total += first[i];
  for (std::size_t i = slowest + 1; i < sums.size(); ++i) total += last[i];
  return total;
}

double pass_seconds(std::span<const PassStep> steps, std::uint64_t buffer_bytes) {
  // Three tokens: the first fills the buffer, the last is timed.
  constexpr int kPasses = 3;
  struct Read {
    double done;  // when its tensor has been computed and leaves the buffer
    std::uint64_t bytes;
  };
  std::deque<Read> held;   // tensors in the buffer, or that were
  std::uint64_t used = 0;  // bytes of `held`
  double reader = 0;       // when the reading thread is free
  double clock = 0;        // when the tensor before has been computed
  double pass_began = 0;
  double seconds = 0;
  for (int pass = 0; pass < kPasses; ++pass) {
    pass_began = clock;
    for (const PassStep& step : steps) {
      if (step.io > 0) {
        // Reading starts when enough has left; tensors leave in the order in which they came.
        double room_at = reader;
        while (!held.empty() && used + step.bytes > buffer_bytes) {
          room_at = std::max(room_at, held.front().done);
          used -= held.front().bytes;
          held.pop_front();
        }
        reader = room_at + step.io;
        clock = std::max(clock, reader);
        held.push_back({clock + step.compute, step.bytes});
        used += step.bytes;
      }
      clock += step.compute;
    }
    seconds = clock - pass_began;
  }
  return seconds;
}

}  // namespace twofold
