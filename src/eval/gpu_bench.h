#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "eval/kernel_bench.h"

namespace twofold {

/// A codec's products on the GPU, or those of cuBLAS.
struct GpuFigures {
  std::string codec;  // or "cuBLAS INT8", "cuBLAS FP16"
  std::int64_t tokens = 1;
  double bits_per_weight = 0;
  double over_entropy = 0;        // bits_per_weight / entropy - 1
  double weights_per_second = 0;  // without transfers
  double over_raw = 0;            // to those of `raw` with as many tokens
  double of_bandwidth = 0;        // coded bytes per second, to what a copy within the GPU reads and writes
};

struct GpuBench {
  std::string device;
  std::uint64_t weights = 0;
  double entropy_bits_per_weight = 0;
  double copy_bytes_per_second = 0;
  std::vector<GpuFigures> figures;
};

/// As bench_kernels on the first GPU, instruction sets and threads aside. Throws Error when there is none, or
/// when products differ from those of the weights.
GpuBench bench_gpu_kernels(const std::vector<KernelBenchMatrix>& matrices, const KernelBenchOptions& options,
                           const std::function<void(double)>& progress);

}  // namespace twofold
