#pragma once

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "base/error.h"

// The GPU's memory, for the files that are compiled with CUDA's runtime only.
namespace twofold {

inline void check_gpu(cudaError_t error, const char* what) {
  if (error != cudaSuccess) fail("GPU: {}: {}", what, cudaGetErrorString(error));
}

/// Elements in the GPU's memory.
template <typename T>
class GpuArray {
 public:
  GpuArray() = default;
  explicit GpuArray(std::size_t count) : count_(count) {
    check_gpu(cudaMalloc(&data_, std::max<std::size_t>(count * sizeof(T), 1)), "memory");
  }
  explicit GpuArray(std::span<const T> from) : GpuArray(from.size()) { copy_from(from); }
  GpuArray(GpuArray&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), count_(std::exchange(other.count_, 0)) {}
  GpuArray& operator=(GpuArray&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(count_, other.count_);
    return *this;
  }
  ~GpuArray() { cudaFree(data_); }

  T* data() const { return static_cast<T*>(data_); }
  std::size_t size() const { return count_; }
  void copy_from(std::span<const T> from) {
    check_gpu(cudaMemcpy(data_, from.data(), from.size_bytes(), cudaMemcpyHostToDevice), "copy");
  }
  void copy_to(std::span<T> to) const {
    check_gpu(cudaMemcpy(to.data(), data_, to.size_bytes(), cudaMemcpyDeviceToHost), "copy back");
  }
  void clear() { check_gpu(cudaMemset(data_, 0, count_ * sizeof(T)), "clear"); }
  /// What it held is lost.
  void grow(std::size_t count) {
    if (count <= count_) return;
    *this = GpuArray();  // one after the other: both may not fit
    *this = GpuArray(count);
  }

 private:
  void* data_ = nullptr;
  std::size_t count_ = 0;
};

/// Bytes in the CPU's memory that the GPU reads while both go on.
class PinnedBytes {
 public:
  PinnedBytes() = default;
  explicit PinnedBytes(std::size_t count) : count_(count) {
    check_gpu(cudaMallocHost(&data_, std::max<std::size_t>(count, 1)), "pinned memory");
  }
  PinnedBytes(PinnedBytes&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), count_(std::exchange(other.count_, 0)) {}
  PinnedBytes& operator=(PinnedBytes&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(count_, other.count_);
    return *this;
  }
  ~PinnedBytes() { cudaFreeHost(data_); }

  std::span<std::uint8_t> bytes() const { return {static_cast<std::uint8_t*>(data_), count_}; }

 private:
  void* data_ = nullptr;
  std::size_t count_ = 0;
};

}  // namespace twofold
