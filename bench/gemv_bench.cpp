// INT8 products of few tokens with 1 GiB of weights, chunk by chunk as the engine multiplies, beside reading
// the same memory in the fastest of three ways: arguments are columns, tokens, threads. Both are timed by
// turns; "ratio" is the median time of reading through that of multiplying, 1 where the product runs at the
// speed of memory.

#include <benchmark/benchmark.h>
#include <time.h>

#include <algorithm>
#include <cstring>

#include "base/aligned.h"
#include "base/random.h"
#include "base/thread_pool.h"
#include "kernels/ops.h"

namespace twofold {
namespace {

constexpr std::size_t kBytes = std::size_t{1} << 30;
constexpr std::size_t kChunkWeights = 1 << 16;

AlignedVector<std::int8_t> random_bytes(std::size_t n) {
  Random random(n);
  AlignedVector<std::int8_t> x(n);
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const std::uint64_t bits = random.next() & 0x3f3f3f3f3f3f3f3fU;
    std::memcpy(x.data() + i, &bits, 8);
  }
  for (; i < n; ++i) x[i] = 1;
  return x;
}

/// Sums the 64-bit words of `Streams` streams through every `piece` bytes: which number of streams, and how
/// long, is read fastest differs among machines.
template <std::size_t Streams>
void read(const std::int8_t* data, std::size_t bytes, std::size_t piece) {
  constexpr std::size_t kLine = 64;
  std::uint64_t sums[8] = {};
  for (std::size_t begin = 0; begin + piece <= bytes; begin += piece) {
    const std::size_t stream = piece / Streams / kLine * kLine;
    for (std::size_t i = begin; i < begin + stream; i += kLine) {
      for (std::size_t s = 0; s < Streams; ++s) {
        std::uint64_t words[8];
        std::memcpy(words, data + s * stream + i, kLine);
        for (std::size_t j = 0; j < 8; ++j) sums[j] += words[j];
      }
    }
  }
  benchmark::DoNotOptimize(sums);
}

/// Of this thread when it is the only one, so that other programs do not count; else of the clock.
double seconds(int threads) {
  timespec now{};
  clock_gettime(threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

void gemv(benchmark::State& state) {
  const auto cols = static_cast<std::size_t>(state.range(0));
  const auto tokens = static_cast<std::size_t>(state.range(1));
  const auto threads = static_cast<int>(state.range(2));
  ThreadPool pool(threads);
  static const AlignedVector<std::int8_t> w = random_bytes(kBytes);
  const std::size_t rows = w.size() / cols;
  const std::size_t chunk = std::max<std::size_t>(1, kChunkWeights / cols);
  const auto x = random_bytes(tokens * cols);
  AlignedVector<std::int8_t> packed(packed_i8_size(tokens, cols));
  ops().pack_i8(x.data(), cols, cols, tokens, 0, tokens, packed.data());
  AlignedVector<std::int32_t> out(tokens * rows);
  std::vector<double> read_times[3];
  std::vector<double> times;
  for (auto _ : state) {
    for (std::size_t way = 0; way < std::size(read_times); ++way) {
      const auto start = seconds(threads);
      pool.run(kBytes >> 20, [&](std::size_t begin, std::size_t end, int) {
        const std::int8_t* data = w.data() + (begin << 20);
        const std::size_t bytes = (end - begin) << 20;
        way == 0 ? read<1>(data, bytes, bytes) : read<4>(data, bytes, kChunkWeights << (way == 1 ? 0 : 6));
      });
      read_times[way].push_back(seconds(threads) - start);
    }
    const auto start = seconds(threads);
    pool.run((rows + chunk - 1) / chunk, [&](std::size_t begin, std::size_t end, int) {
      for (std::size_t row = begin * chunk; row < std::min(rows, end * chunk); row += chunk) {
        ops().matmul_i8(w.data() + row * cols, std::min(chunk, rows - row), cols, packed.data(), tokens,
                        out.data() + row, rows);
      }
    });
    times.push_back(seconds(threads) - start);
    state.SetIterationTime(times.back());
  }
  state.counters["GB/s"] = 1e-9 * kBytes / median(times);
  const double fastest = std::min({median(read_times[0]), median(read_times[1]), median(read_times[2])});
  state.counters["read"] = 1e-9 * kBytes / fastest;
  state.counters["ratio"] = fastest / median(times);
}
BENCHMARK(gemv)
    ->ArgsProduct({{2048, 4096, 5632}, {1, 2, 3, 4, 6, 8}, {1, 2}})
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace twofold
