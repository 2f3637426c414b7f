#pragma once

#include "kernels/cuda/gpu_memory.h"

namespace twofold {

/// Work of a stream that is recorded once and then started by one call, which takes the CPU less than a call
/// for each kernel.
class GpuGraph {
 public:
  GpuGraph() = default;
  GpuGraph(const GpuGraph&) = delete;
  GpuGraph& operator=(const GpuGraph&) = delete;
  ~GpuGraph() { clear(); }

  bool recorded() const { return work_ != nullptr; }
  void clear() {
    if (work_ != nullptr) cudaGraphExecDestroy(work_);
    work_ = nullptr;
  }

  /// Records what `start` puts on the stream, and runs none of it. False when that is not possible.
  template <typename Start>
  bool record(cudaStream_t stream, const Start& start) {
    clear();
    bool good = cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess;
    if (good) {
      try {
        start();
      } catch (const Error&) {
        good = false;
      }
      cudaGraph_t graph = nullptr;
      good = cudaStreamEndCapture(stream, &graph) == cudaSuccess && good;
      good = good && cudaGraphInstantiate(&work_, graph, 0) == cudaSuccess;
      if (graph != nullptr) cudaGraphDestroy(graph);
    }
    if (good) return true;
    work_ = nullptr;
    cudaGetLastError();  // is not one of what comes next
    return false;
  }
  void run(cudaStream_t stream) { check_gpu(cudaGraphLaunch(work_, stream), "a pass"); }

 private:
  cudaGraphExec_t work_ = nullptr;
};

}  // namespace twofold
