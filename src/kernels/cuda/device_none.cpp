// A build without CUDA.

#include "base/error.h"
#include "kernels/cuda/device.h"

namespace twofold {

std::vector<GpuInfo> gpus() {
  return {};
}

std::unique_ptr<GpuMatrix> make_gpu_matrix(const Decoder&, const GpuChunks&, GpuPlace) {
  fail("this build has no CUDA; configure it with -DTWOFOLD_CUDA=ON");
}

}  // namespace twofold
