#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/cpu.h"
#include "codec/codec.h"

namespace twofold {

/// What `bench kernels` multiplies with: INT8 matrices, repeated in memory until they are beyond every cache.
struct KernelBenchMatrix {
  std::vector<std::int8_t> weights;  // row-major
  std::int64_t rows = 0;
  std::int64_t cols = 0;
};

/// Gaussian weights whose order-0 entropy is `bits` (0.1-7.8), rounded to integers and clamped to +-127. With
/// `spread` > 0 the columns' deviations are lognormal with that deviation of the logarithm, as those of
/// layers with a step per channel; the entropy is that of the whole matrix.
KernelBenchMatrix gaussian_matrix(std::int64_t rows, std::int64_t cols, double bits, double spread,
                                  std::uint64_t seed);

struct KernelBenchOptions {
  std::vector<const Codec*> codecs;  // `raw` is always measured: it is what the others are compared with
  std::vector<Isa> isas;             // empty: the active one
  std::vector<int> threads = {1};
  std::vector<std::int64_t> tokens = {1};        // activation vectors of one product
  std::uint64_t bytes = std::uint64_t{1} << 30;  // of INT8 weights, at least
  int repetitions = 5;                           // the median counts
  std::vector<int> cpus;                         // as ThreadPool takes them
};

/// One codec on one instruction set with so many threads and tokens.
struct KernelFigures {
  std::string codec;
  Isa isa = Isa::kScalar;
  int threads = 1;
  std::int64_t tokens = 1;
  double bits_per_weight = 0;
  double over_entropy = 0;        // bits_per_weight / entropy - 1
  double weights_per_second = 0;  // output rate; times tokens = products per second
  double over_raw = 0;      // weights per second, to those of `raw` with the same ISA, threads and tokens
  double of_bandwidth = 0;  // coded bytes per second, to the read bandwidth of as many threads
};

struct KernelBench {
  std::uint64_t weights = 0;
  double entropy_bits_per_weight = 0;         // order-0, each matrix by itself
  std::vector<double> read_bytes_per_second;  // for each of options.threads
  std::vector<KernelFigures> figures;
};

/// Measures the products of all matrices with random activations, everything by turns in one run: one round
/// times each configuration once. Throws Error when a codec's products differ from those of the weights.
/// `progress(fraction)` is called as work is done.
KernelBench bench_kernels(const std::vector<KernelBenchMatrix>& matrices, const KernelBenchOptions& options,
                          const std::function<void(double)>& progress);

}  // namespace twofold
