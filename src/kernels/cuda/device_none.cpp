// A build without CUDA.

#include "base/error.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/transformer.h"

namespace twofold {

namespace {
constexpr const char* kNone = "this build has no CUDA; configure it with -DTWOFOLD_CUDA=ON";
}

std::vector<GpuInfo> gpus() {
  return {};
}

std::string why_no_gpu() {
  return kNone;
}

double time_gpu_products(std::span<const std::unique_ptr<GpuMatrix>>, int, int) {
  fail("{}", kNone);
}

double gpu_copy_rate(std::size_t, int) {
  fail("{}", kNone);
}

std::optional<double> time_gpu_blas(GpuBlas, std::size_t, std::size_t, int, std::size_t, int) {
  fail("{}", kNone);
}

std::unique_ptr<GpuMatrix> make_gpu_matrix(const Decoder&, const GpuChunks&, GpuPlace) {
  fail("{}", kNone);
}

std::unique_ptr<GpuPipeline> make_gpu_pipeline(std::vector<std::unique_ptr<GpuMatrix>> matrices,
                                               const GpuPipelineOptions&) {
  matrices.clear();  // taken over, as elsewhere
  fail("{}", kNone);
}

std::unique_ptr<GpuTransformer> make_gpu_transformer(const GpuShape&) {
  fail("{}", kNone);
}

}  // namespace twofold
