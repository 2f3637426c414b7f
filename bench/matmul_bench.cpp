// INT8 products of whole layers, Twofold's beside oneDNN's in the same run: arguments are rows, columns,
// tokens, threads. Both are timed by turns, so that whatever else the machine does hits both; "ratio" is the
// median time of oneDNN through that of Twofold, above 1 where Twofold is faster. Twofold's time has the
// packing of the activations in it, oneDNN's weights are in the layout it prefers before its time starts.
// oneDNN is exact only on CPUs with VNNI; elsewhere it saturates.

#include <benchmark/benchmark.h>
#include <omp.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <dnnl.hpp>

#include "base/aligned.h"
#include "base/random.h"
#include "base/thread_pool.h"
#include "kernels/ops.h"

namespace twofold {
namespace {

constexpr std::size_t kChunkWeights = 1 << 16;

/// Normal weights of this deviation, rounded; 127 at most.
AlignedVector<std::int8_t> normal_weights(std::size_t n, double deviation) {
  Random random(n);
  AlignedVector<std::int8_t> w(n);
  for (auto& value : w) {
    const double r = std::sqrt(-2 * std::log(1 - random.uniform()));
    const double x = deviation * r * std::cos(6.283185307179586 * random.uniform());
    value = static_cast<std::int8_t>(std::clamp(std::nearbyint(x), -127.0, 127.0));
  }
  return w;
}

/// A layer and its input; sums [tokens, rows].
struct Layer {
  std::size_t rows, cols, tokens;
  AlignedVector<std::int8_t> w, x;
  AlignedVector<std::int32_t> sums;

  Layer(std::size_t rows_, std::size_t cols_, std::size_t tokens_, double deviation)
      : rows(rows_), cols(cols_), tokens(tokens_), w(normal_weights(rows * cols, deviation)) {
    x = normal_weights(tokens * cols, 40);
    sums.resize(tokens * rows);
  }
};

class OneDnn {
 public:
  OneDnn(Layer& layer, int threads) : engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {
    using dnnl::memory;
    omp_set_num_threads(threads);
    const auto rows = static_cast<memory::dim>(layer.rows);
    const auto cols = static_cast<memory::dim>(layer.cols);
    const auto tokens = static_cast<memory::dim>(layer.tokens);
    const memory::desc src({tokens, cols}, memory::data_type::s8, memory::format_tag::ab);
    const memory::desc plain({cols, rows}, memory::data_type::s8, memory::format_tag::ba);
    const memory::desc weights({cols, rows}, memory::data_type::s8, memory::format_tag::any);
    const memory::desc dst({tokens, rows}, memory::data_type::s32, memory::format_tag::ab);
    const dnnl::matmul::primitive_desc description(dnnl::matmul::desc(src, weights, dst), engine_);
    product_ = dnnl::matmul(description);
    memory stored(plain, engine_, layer.w.data());
    memory preferred(description.weights_desc(), engine_);
    dnnl::reorder(stored, preferred).execute(stream_, stored, preferred);
    stream_.wait();
    arguments_ = {{DNNL_ARG_SRC, memory(src, engine_, layer.x.data())},
                  {DNNL_ARG_WEIGHTS, preferred},
                  {DNNL_ARG_DST, memory(dst, engine_, layer.sums.data())}};
  }

  void run() {
    product_.execute(stream_, arguments_);
    stream_.wait();
  }

 private:
  dnnl::engine engine_;
  dnnl::stream stream_;
  dnnl::matmul product_;
  std::unordered_map<int, dnnl::memory> arguments_;
};

/// As the engine multiplies: activations packed, then the rows by chunks.
class Twofold {
 public:
  Twofold(Layer& layer, int threads) : layer_(layer), pool_(threads) {
    packed_.resize(packed_i8_size(layer.tokens, layer.cols));
  }

  void run() {
    const std::size_t n = layer_.tokens;
    pool_.run((n + kPackedTokens - 1) / kPackedTokens, [&](std::size_t begin, std::size_t end, int) {
      ops().pack_i8(layer_.x.data(), layer_.cols, layer_.cols, n, begin * kPackedTokens,
                    std::min(n, end * kPackedTokens), packed_.data());
    });
    const std::size_t chunk = std::max<std::size_t>(1, kChunkWeights / layer_.cols);
    pool_.run((layer_.rows + chunk - 1) / chunk, [&](std::size_t begin, std::size_t end, int) {
      for (std::size_t row = begin * chunk; row < std::min(layer_.rows, end * chunk); row += chunk) {
        ops().matmul_i8(layer_.w.data() + row * layer_.cols, std::min(chunk, layer_.rows - row), layer_.cols,
                        packed_.data(), n, layer_.sums.data() + row, layer_.rows);
      }
    });
  }

 private:
  Layer& layer_;
  ThreadPool pool_;
  AlignedVector<std::int8_t> packed_;
};

/// Of this thread when it is the only one, so that other programs do not count; else of the clock.
double now(int threads) {
  timespec time{};
  clock_gettime(threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

void matmul(benchmark::State& state, double deviation) {
  Layer layer(static_cast<std::size_t>(state.range(0)), static_cast<std::size_t>(state.range(1)),
              static_cast<std::size_t>(state.range(2)), deviation);
  const auto threads = static_cast<int>(state.range(3));
  OneDnn theirs(layer, threads);
  Twofold ours(layer, threads);
  theirs.run();
  ours.run();
  std::vector<double> their_times;
  std::vector<double> our_times;
  for (auto _ : state) {
    const double start = now(threads);
    theirs.run();
    const double middle = now(threads);
    ours.run();
    their_times.push_back(middle - start);
    our_times.push_back(now(threads) - middle);
    state.SetIterationTime(our_times.back());
  }
  const double products = static_cast<double>(layer.rows * layer.cols * layer.tokens);
  state.counters["ratio"] = median(their_times) / median(our_times);
  state.counters["Gops"] = 2e-9 * products / median(our_times);
  state.counters["oneDNN"] = 2e-9 * products / median(their_times);
}

void layers(benchmark::internal::Benchmark* benchmark) {
  for (const std::pair<int, int>& shape :
       {std::pair{2048, 2048}, {5632, 2048}, {4096, 4096}, {11008, 4096}}) {
    for (const int tokens : {64, 512}) {
      for (const int threads : {1, 2}) benchmark->Args({shape.first, shape.second, tokens, threads});
    }
  }
  benchmark->UseManualTime()->Unit(benchmark::kMillisecond);
}

// Weights as a free step leaves them, as plain INT8 has them, and with many above 64.
BENCHMARK_CAPTURE(matmul, deviation_4, 4.0)->Apply(layers);
BENCHMARK_CAPTURE(matmul, deviation_12, 12.0)->Apply(layers);
BENCHMARK_CAPTURE(matmul, deviation_40, 40.0)->Apply(layers);

}  // namespace
}  // namespace twofold
