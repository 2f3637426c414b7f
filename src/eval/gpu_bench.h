#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "eval/kernel_bench.h"

namespace twofold {

/// Figures as those of bench_kernels, with "cuBLAS INT8" and "cuBLAS FP16" among the codecs; times without
/// transfers, bandwidth as that of a copy within the GPU.
struct GpuBench {
  std::string device;
  std::uint64_t weights = 0;
  double entropy_bits_per_weight = 0;
  double copy_bytes_per_second = 0;    // read and written
  std::vector<KernelFigures> figures;  // without an instruction set and threads
};

/// As bench_kernels on the first GPU, instruction sets and threads aside. Throws Error when there is none, or
/// when products differ from those of the weights.
GpuBench bench_gpu_kernels(const std::vector<KernelBenchMatrix>& matrices, const KernelBenchOptions& options,
                           const std::function<void(double)>& progress);

}  // namespace twofold
