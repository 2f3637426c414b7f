// How long products take on the GPU, without transfers.

#include <algorithm>
#include <functional>

#include "base/error.h"
#include "base/random.h"
#include "kernels/cuda/gpu_matrix.h"

#if defined(TWOFOLD_CUBLAS)
#include <cublas_v2.h>
#include <cuda_fp16.h>
#endif

namespace twofold {

namespace {

class GpuEvent {
 public:
  GpuEvent() { check_gpu(cudaEventCreateWithFlags(&event_, cudaEventDefault), "event"); }
  GpuEvent(const GpuEvent&) = delete;
  GpuEvent& operator=(const GpuEvent&) = delete;
  ~GpuEvent() { cudaEventDestroy(event_); }

  void record() { check_gpu(cudaEventRecord(event_, nullptr), "record"); }
  double seconds_since(const GpuEvent& before) {
    check_gpu(cudaEventSynchronize(event_), "wait");
    float milliseconds = 0;
    check_gpu(cudaEventElapsedTime(&milliseconds, before.event_, event_), "time");
    return static_cast<double>(milliseconds) / 1e3;
  }

 private:
  cudaEvent_t event_ = nullptr;
};

/// The median time of `start`, which puts work on the default stream; the first time does not count.
double median_seconds(int repetitions, const std::function<void()>& start) {
  GpuEvent before;
  GpuEvent after;
  std::vector<double> seconds;
  start();
  for (int i = 0; i < repetitions; ++i) {
    before.record();
    start();
    after.record();
    seconds.push_back(after.seconds_since(before));
  }
  const auto middle = seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2);
  std::nth_element(seconds.begin(), middle, seconds.end());
  return *middle;
}

}  // namespace

double time_gpu_products(std::span<const std::unique_ptr<GpuMatrix>> matrices, int vectors, int repetitions) {
  std::vector<CodedGpuMatrix*> all;
  for (const auto& matrix : matrices) {
    // There is no other kind.
    all.push_back(dynamic_cast<CodedGpuMatrix*>(matrix.get()));
    if (!all.back()->on_gpu()) fail("GPU: a matrix to be measured lies in the CPU's memory");
  }
  // The same activations and room for sums for all: those of the largest come last, so that nothing moves
  // behind them.
  std::vector<device::Products> products(all.size());
  Random random(1);
  for (int pass = 0; pass < 2; ++pass) {
    for (std::size_t i = 0; i < all.size(); ++i) {
      std::vector<std::int8_t> x(static_cast<std::size_t>(vectors) * all[i]->stride());
      for (std::int8_t& a : x) a = static_cast<std::int8_t>(static_cast<int>(random.below(255)) - 127);
      products[i] = all[i]->send(x, vectors, nullptr);
      all[i]->workspace().weights.grow(all[i]->rows() * all[i]->stride());
    }
  }
  const double seconds = median_seconds(repetitions, [&] {
    for (std::size_t i = 0; i < all.size(); ++i) {
      std::int8_t* const weights = all[i]->workspace().weights.data();
      if (all[i]->decodes_ahead(vectors)) {
        all[i]->start_decode(all[i]->gpu_bytes(), weights, nullptr);
        CodedGpuMatrix::start_products(weights, products[i], vectors, nullptr);
      } else {
        all[i]->start_multiply(all[i]->gpu_bytes(), products[i], vectors, nullptr);
      }
    }
  });
  if (!all.empty()) all[0]->finish("measure", nullptr);
  return seconds;
}

double gpu_copy_rate(std::size_t bytes, int repetitions) {
  const GpuArray<std::uint8_t> from(bytes);
  const GpuArray<std::uint8_t> to(bytes);
  const double seconds = median_seconds(repetitions, [&] {
    check_gpu(cudaMemcpyAsync(to.data(), from.data(), bytes, cudaMemcpyDeviceToDevice, nullptr), "copy");
  });
  return 2 * static_cast<double>(bytes) / seconds;
}

#if defined(TWOFOLD_CUBLAS)

std::optional<double> time_gpu_blas(GpuBlas kind, std::size_t rows, std::size_t cols, int vectors,
                                    std::size_t count, int repetitions) {
  const auto check = [](cublasStatus_t status) {
    if (status != CUBLAS_STATUS_SUCCESS) fail("GPU: cuBLAS: {}", cublasGetStatusString(status));
  };
  cublasHandle_t created = nullptr;
  check(cublasCreate(&created));
  const std::unique_ptr<cublasContext, cublasStatus_t (*)(cublasHandle_t)> handle(created, cublasDestroy);
  const bool half = kind == GpuBlas::kHalf;
  const std::size_t size = half ? sizeof(__half) : 1;
  // Its INT8 kernels take multiples of four vectors.
  const std::size_t n = (static_cast<std::size_t>(vectors) + 3) / 4 * 4;
  GpuArray<std::uint8_t> weights(count * rows * cols * size);
  GpuArray<std::uint8_t> x(n * cols * size);
  GpuArray<std::uint8_t> sums(n * rows * 4);
  weights.clear();
  x.clear();
  const cudaDataType type = half ? CUDA_R_16F : CUDA_R_8I;
  const float one = 1;
  const float zero = 0;
  const std::int32_t one_int = 1;
  const std::int32_t zero_int = 0;
  return median_seconds(repetitions, [&] {
    for (std::size_t i = 0; i < count; ++i) {
      const auto m = static_cast<int>(rows);
      const auto k = static_cast<int>(cols);
      check(cublasGemmEx(handle.get(), CUBLAS_OP_T, CUBLAS_OP_N, m, static_cast<int>(n), k,
                         half ? static_cast<const void*>(&one) : &one_int,
                         weights.data() + i * rows * cols * size, type, k, x.data(), type, k,
                         half ? static_cast<const void*>(&zero) : &zero_int, sums.data(),
                         half ? CUDA_R_16F : CUDA_R_32I, m, half ? CUBLAS_COMPUTE_32F : CUBLAS_COMPUTE_32I,
                         CUBLAS_GEMM_DEFAULT));
    }
  });
}

#else

std::optional<double> time_gpu_blas(GpuBlas, std::size_t, std::size_t, int, std::size_t, int) {
  return std::nullopt;
}

#endif

}  // namespace twofold
