// Speed of the inner loops for the instruction set in use (TWOFOLD_ISA chooses another), on one thread. Times
// are CPU times of this thread. "bytes" counts weights or cache read, "ops" multiplications and additions.

#include <benchmark/benchmark.h>

#include <cstring>

#include "base/aligned.h"
#include "base/random.h"
#include "kernels/attention.h"
#include "kernels/ops.h"
#include "kernels/sgemm.h"

namespace twofold {
namespace {

constexpr std::size_t kBeyondCache = std::size_t{256} << 20;  // bytes
constexpr std::size_t kChunkRows = 128;

AlignedVector<std::int8_t> random_bytes(std::size_t n, int magnitude) {
  Random random(n);
  AlignedVector<std::int8_t> x(n);
  const auto values = 2 * static_cast<unsigned>(magnitude) + 1;
  for (auto& value : x) value = static_cast<std::int8_t>(static_cast<int>(random.below(values)) - magnitude);
  return x;
}

/// Random activations as matmul_i8 reads them.
AlignedVector<std::int8_t> packed_tokens(std::size_t tokens, std::size_t cols) {
  const auto x = random_bytes(tokens * cols, 127);
  AlignedVector<std::int8_t> packed(packed_i8_size(tokens, cols));
  ops().pack_i8(x.data(), cols, cols, tokens, 0, tokens, packed.data());
  return packed;
}

AlignedVector<float> random_floats(std::size_t n) {
  Random random(n);
  AlignedVector<float> x(n);
  for (auto& value : x) value = static_cast<float>(random.uniform() - 0.5);
  return x;
}

void set_rates(benchmark::State& state, double bytes, double ops) {
  const auto rate = [&](double count) {
    return benchmark::Counter(count, benchmark::Counter::kIsIterationInvariantRate);
  };
  if (bytes > 0) state.counters["bytes"] = rate(bytes);
  if (ops > 0) state.counters["ops"] = rate(ops);
}

// What memory gives to one thread that only reads: eight sums over one stream.
void read_stream(benchmark::State& state) {
  const AlignedVector<std::int8_t> data = random_bytes(kBeyondCache, 127);
  for (auto _ : state) {
    std::uint64_t sums[8] = {};
    for (std::size_t i = 0; i < data.size(); i += sizeof(sums)) {
      std::uint64_t words[8];
      std::memcpy(words, data.data() + i, sizeof(words));
      for (std::size_t j = 0; j < 8; ++j) sums[j] += words[j];
    }
    benchmark::DoNotOptimize(sums);
  }
  set_rates(state, kBeyondCache, 0);
}
BENCHMARK(read_stream)->Unit(benchmark::kMillisecond);

// One token through a matrix larger than the cache, chunk by chunk as the engine calls it; argument: columns.
void gemv_i8(benchmark::State& state) {
  const auto cols = static_cast<std::size_t>(state.range(0));
  const std::size_t chunk = kChunkRows * cols;
  const AlignedVector<std::int8_t> w = random_bytes(kBeyondCache / chunk * chunk, 127);
  const AlignedVector<std::int8_t> x = packed_tokens(1, cols);
  AlignedVector<std::int32_t> out(kChunkRows);
  for (auto _ : state) {
    for (std::size_t i = 0; i < w.size(); i += chunk) {
      ops().matmul_i8(w.data() + i, kChunkRows, cols, x.data(), 1, out.data(), kChunkRows);
    }
    benchmark::DoNotOptimize(out.data());
  }
  set_rates(state, static_cast<double>(w.size()), 0);
}
BENCHMARK(gemv_i8)->Arg(256)->Arg(1024)->Arg(4096)->Arg(11008)->Unit(benchmark::kMillisecond);

// Tokens, columns, largest weight.
void matmul_i8(benchmark::State& state) {
  const auto tokens = static_cast<std::size_t>(state.range(0));
  const auto cols = static_cast<std::size_t>(state.range(1));
  const auto w = random_bytes(kChunkRows * cols, static_cast<int>(state.range(2)));
  const auto x = packed_tokens(tokens, cols);
  AlignedVector<std::int32_t> out(tokens * kChunkRows);
  for (auto _ : state) {
    ops().matmul_i8(w.data(), kChunkRows, cols, x.data(), tokens, out.data(), kChunkRows);
    benchmark::DoNotOptimize(out.data());
  }
  set_rates(state, 0, 2.0 * static_cast<double>(tokens * cols * kChunkRows));
}
BENCHMARK(matmul_i8)->ArgsProduct({{1, 4, 16, 64, 512}, {256, 4096}, {127, 63}});

// Tokens, columns.
void sgemm(benchmark::State& state) {
  const auto tokens = static_cast<std::size_t>(state.range(0));
  const auto cols = static_cast<std::size_t>(state.range(1));
  const auto w = random_floats(kChunkRows * cols);
  const auto x = random_floats(tokens * cols);
  AlignedVector<float> y(tokens * kChunkRows);
  for (auto _ : state) {
    twofold::sgemm(x.data(), tokens, cols, w.data(), kChunkRows, y.data(), kChunkRows);
    benchmark::DoNotOptimize(y.data());
  }
  set_rates(state, 0, 2.0 * static_cast<double>(tokens * cols * kChunkRows));
}
BENCHMARK(sgemm)->ArgsProduct({{1, 4, 16, 64, 512}, {256, 4096}});

// Positions in the cache, tokens of the block, key heads of one call; four query heads of 128 to each key
// head.
void attention(benchmark::State& state) {
  constexpr std::size_t kHeadDim = 128;
  constexpr std::size_t kHeads = 4;
  constexpr std::size_t kKeyHeads = 8;
  const auto positions = static_cast<std::size_t>(state.range(0));
  const auto tokens = static_cast<std::size_t>(state.range(1));
  const auto together = static_cast<std::size_t>(state.range(2));
  const std::size_t width = kKeyHeads * kHeads * kHeadDim;
  const std::size_t kv_width = kKeyHeads * kHeadDim;
  const auto q = random_floats(tokens * width);
  const auto keys = random_floats(positions * kv_width);
  const auto values = random_floats(positions * kv_width);
  AlignedVector<float> scratch;
  AlignedVector<float> out(tokens * width);
  for (auto _ : state) {
    for (std::size_t head = 0; head < kKeyHeads; head += together) {
      attend(q.data() + head * kHeads * kHeadDim, width, keys.data() + head * kHeadDim,
             values.data() + head * kHeadDim, kv_width, positions - tokens, tokens, kHeads, kHeadDim, 0.1F,
             scratch, out.data() + head * kHeads * kHeadDim, width, together);
    }
    benchmark::DoNotOptimize(out.data());
  }
  const double cache = 2.0 * static_cast<double>(positions * kv_width);
  set_rates(state, tokens == 1 ? cache * sizeof(float) : 0, 2 * cache * kHeads * static_cast<double>(tokens));
}
BENCHMARK(attention)
    ->Args({512, 1, 1})
    ->Args({16384, 1, 1})
    ->Args({16384, 1, 4})
    ->Args({512, 32, 1})
    ->Args({4096, 32, 1})
    ->Unit(benchmark::kMicrosecond);

void quantize(benchmark::State& state) {
  const auto x = random_floats(4096);
  AlignedVector<std::int8_t> q(x.size());
  for (auto _ : state) {
    ops().quantize(x.data(), x.data(), 127.0F / ops().abs_max(x.data(), x.data(), x.size()), x.size(),
                   q.data());
    benchmark::DoNotOptimize(q.data());
  }
  set_rates(state, 4.0 * static_cast<double>(x.size()), 0);
}
BENCHMARK(quantize);

void softmax(benchmark::State& state) {
  auto x = random_floats(4096);
  for (auto _ : state) {
    ops().softmax(x.data(), x.size());
    benchmark::DoNotOptimize(x.data());
  }
  set_rates(state, 4.0 * static_cast<double>(x.size()), 0);
}
BENCHMARK(softmax);

void swiglu(benchmark::State& state) {
  const auto up = random_floats(4096);
  auto gate = up;
  for (auto _ : state) {
    ops().swiglu(gate.data(), up.data(), gate.size());
    benchmark::DoNotOptimize(gate.data());
  }
  set_rates(state, 4.0 * static_cast<double>(gate.size()), 0);
}
BENCHMARK(swiglu);

}  // namespace
}  // namespace twofold
