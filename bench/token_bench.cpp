// What decoding one token costs beside the products with the weights, at the shape of a 1.1 billion parameter
// Llama (22 layers of 2048, 32 heads on 4 key heads of 64, 5632, vocabulary 32000): each entry is one token's
// whole share, on one thread. Reading the weights as INT8 takes some 50 ms there at 20 GB/s.

#include <benchmark/benchmark.h>

#include <cmath>
#include <vector>

#include "base/aligned.h"
#include "base/random.h"
#include "base/thread_pool.h"
#include "kernels/attention.h"
#include "kernels/ops.h"
#include "runtime/sampler.h"

namespace twofold {
namespace {

constexpr std::size_t kLayers = 22;
constexpr std::size_t kHidden = 2048;
constexpr std::size_t kKeyHeads = 4;
constexpr std::size_t kHeads = 8;  // per key head
constexpr std::size_t kHeadDim = 64;
constexpr std::size_t kKeys = kKeyHeads * kHeadDim;
constexpr std::size_t kInner = 5632;

AlignedVector<float> random_floats(std::size_t n) {
  Random random(n);
  AlignedVector<float> x(n);
  for (auto& value : x) value = static_cast<float>(random.uniform() - 0.5);
  return x;
}

// Positions in the cache, threads. The caches of all layers are read in turn, as decoding does.
void attention(benchmark::State& state) {
  const auto positions = static_cast<std::size_t>(state.range(0));
  ThreadPool pool(static_cast<int>(state.range(1)));
  const auto q = random_floats(kHidden);
  const auto keys = random_floats(kLayers * positions * kKeys);
  const auto values = random_floats(kLayers * positions * kKeys);
  AlignedVector<float> out(kHidden);
  std::vector<AlignedVector<float>> scratch(static_cast<std::size_t>(pool.size()));
  for (auto _ : state) {
    for (std::size_t layer = 0; layer < kLayers; ++layer) {
      pool.run(kKeyHeads, [&](std::size_t begin, std::size_t end, int worker) {
        for (std::size_t head = begin; head < end; ++head) {
          const std::size_t cache = (layer * kKeyHeads + head) * positions * kHeadDim;
          const std::size_t heads = head * kHeads * kHeadDim;
          attend(q.data() + heads, kHidden, keys.data() + cache, values.data() + cache, kHeadDim,
                 positions - 1, 1, kHeads, kHeadDim, 0.125F, scratch[static_cast<std::size_t>(worker)],
                 out.data() + heads, kHidden);
        }
      });
    }
    benchmark::DoNotOptimize(out.data());
  }
  state.counters["bytes"] =
      benchmark::Counter(2.0 * 4.0 * static_cast<double>(kLayers * positions * kKeys),
                         benchmark::Counter::kIsIterationInvariantRate, benchmark::Counter::kIs1000);
}
BENCHMARK(attention)->ArgsProduct({{512, 2048}, {1, 2}})->UseRealTime()->Unit(benchmark::kMicrosecond);

void norms(benchmark::State& state) {
  auto x = random_floats(kHidden);
  const auto weight = random_floats(kHidden);
  AlignedVector<float> out(kHidden);
  for (auto _ : state) {
    for (std::size_t i = 0; i < 2 * kLayers + 1; ++i) {
      ops().rms_norm(x.data(), weight.data(), 1e-5F, kHidden, out.data());
      benchmark::DoNotOptimize(out.data());
    }
  }
}
BENCHMARK(norms)->Unit(benchmark::kMicrosecond);

void residuals(benchmark::State& state) {
  const auto x = random_floats(kHidden);
  auto y = x;
  for (auto _ : state) {
    for (std::size_t i = 0; i < 2 * kLayers; ++i) ops().axpy(1.0F, x.data(), y.data(), kHidden);
    benchmark::DoNotOptimize(y.data());
  }
}
BENCHMARK(residuals)->Unit(benchmark::kMicrosecond);

void rope(benchmark::State& state) {
  auto x = random_floats(kHidden + kKeys);
  const auto angles = random_floats(kHeadDim);
  for (auto _ : state) {
    for (std::size_t i = 0; i < kLayers; ++i) {
      for (std::size_t h = 0; h < x.size(); h += kHeadDim)
        ops().rope(x.data() + h, angles.data(), angles.data(), kHeadDim / 2);
    }
    benchmark::DoNotOptimize(x.data());
  }
}
BENCHMARK(rope)->Unit(benchmark::kMicrosecond);

void swiglu(benchmark::State& state) {
  const auto up = random_floats(kInner);
  auto gate = up;
  for (auto _ : state) {
    for (std::size_t i = 0; i < kLayers; ++i) ops().swiglu(gate.data(), up.data(), kInner);
    benchmark::DoNotOptimize(gate.data());
  }
}
BENCHMARK(swiglu)->Unit(benchmark::kMicrosecond);

// The inputs of a layer's products, quantized and packed: three of kHidden, one of kInner; and the head's.
void activations(benchmark::State& state) {
  const auto x = random_floats(kInner);
  const auto scale = random_floats(kInner);
  AlignedVector<std::int8_t> q(kInner);
  AlignedVector<std::int8_t> packed(packed_i8_size(1, kInner));
  const auto quantize = [&](std::size_t n) {
    const float largest = ops().abs_max(x.data(), scale.data(), n);
    ops().quantize(x.data(), scale.data(), 127.0F / largest, n, q.data());
    ops().pack_i8(q.data(), n, n, 1, 0, 1, packed.data());
    benchmark::DoNotOptimize(packed.data());
  };
  for (auto _ : state) {
    for (std::size_t i = 0; i < kLayers; ++i) {
      for (const std::size_t n : {kHidden, kHidden, kHidden, kInner}) quantize(n);
    }
    quantize(kHidden);
  }
}
BENCHMARK(activations)->Unit(benchmark::kMicrosecond);

// A loop over the threads for every product, attention, norm and so on.
void regions(benchmark::State& state) {
  ThreadPool pool(static_cast<int>(state.range(0)));
  for (auto _ : state) {
    for (std::size_t i = 0; i < 6 * kLayers + 1; ++i)
      pool.run(2, [](std::size_t begin, std::size_t, int) { benchmark::DoNotOptimize(begin); });
  }
}
BENCHMARK(regions)->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMicrosecond);

void sample(benchmark::State& state, const SamplingOptions& options) {
  Random random(1);
  std::vector<float> logits(static_cast<std::size_t>(state.range(0)));
  for (float& logit : logits) {  // normal, as logits about are
    const double r = std::sqrt(-2 * std::log(1 - random.uniform()));
    logit = static_cast<float>(2.5 * r * std::cos(6.283185307179586 * random.uniform()));
  }
  Sampler sampler(options);
  std::vector<std::int32_t> history(512);
  for (std::int32_t& id : history) id = static_cast<std::int32_t>(random.below(logits.size()));
  std::vector<float> scratch;
  for (auto _ : state) {
    scratch = logits;
    benchmark::DoNotOptimize(sampler.sample(scratch, history));
  }
}
constexpr float kNoPenalty = 1.0F;
BENCHMARK_CAPTURE(sample, greedy, SamplingOptions{.temperature = 0})->Arg(32000)->Arg(128256);
BENCHMARK_CAPTURE(sample, standard, SamplingOptions{})->Arg(32000)->Arg(128256);
BENCHMARK_CAPTURE(sample, top_p_alone, SamplingOptions{kNoPenalty, 1.0F, 0, 0.95F, 0})
    ->Arg(32000)
    ->Arg(128256);
BENCHMARK_CAPTURE(sample, everything, SamplingOptions{kNoPenalty, 1.0F, 0, 1.0F, 0})->Arg(32000)->Arg(128256);
BENCHMARK_CAPTURE(sample, penalty, SamplingOptions{.repetition_penalty = 1.1F})->Arg(32000)->Arg(128256);

}  // namespace
}  // namespace twofold
