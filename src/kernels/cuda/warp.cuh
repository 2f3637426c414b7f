#pragma once

#include <cstdint>

// What the lanes of a warp do together. Every lane must take part.
namespace twofold::device {

constexpr std::uint32_t kWarp = 32;
constexpr std::uint32_t kWholeWarp = 0xffffffffU;
constexpr std::uint32_t kBlock = 256;  // threads

__device__ __forceinline__ std::uint32_t lane_id() {
  return threadIdx.x % kWarp;
}
__device__ __forceinline__ std::uint32_t warp_id() {
  return (blockIdx.x * blockDim.x + threadIdx.x) / kWarp;
}

/// Sum of the values of the lanes up to this one.
template <typename T>
__device__ __forceinline__ T scan(T value) {
#pragma unroll
  for (std::uint32_t step = 1; step < kWarp; step *= 2) {
    const T before = __shfl_up_sync(kWholeWarp, value, step);
    if (lane_id() >= step) value += before;
  }
  return value;
}

/// Sum over kLanes neighbours, in each of them.
template <std::uint32_t kLanes>
__device__ __forceinline__ std::int32_t sum_lanes(std::int32_t value) {
#pragma unroll
  for (std::uint32_t step = kLanes / 2; step > 0; step /= 2)
    value += __shfl_xor_sync(kWholeWarp, value, step);
  return value;
}

inline std::uint32_t blocks_of_warps(std::uint32_t warps) {
  return (warps + kBlock / kWarp - 1) / (kBlock / kWarp);
}

}  // namespace twofold::device
