#pragma once

#include <cstdint>

// What the lanes of a warp do together. Every lane must take part. Where this is not compiled by nvcc, the
// CPU runs the kernels (tests/kernels/emulated_gpu).
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

/// Sum over the lanes with the same column of a tile (lane mod 4), in each of them.
__device__ __forceinline__ std::int32_t sum_over_rows(std::int32_t value) {
#pragma unroll
  for (std::uint32_t step = 4; step < kWarp; step *= 2) value += __shfl_xor_sync(kWholeWarp, value, step);
  return value;
}

/// c += a * b of the tensor cores: 16 x 32 bytes a, unsigned or signed, times 32 x 8 signed ones.
template <bool kSigned>
__device__ __forceinline__ void multiply_tiles(std::int32_t* c, const std::uint32_t* a,
                                               const std::uint32_t* b) {
#if !defined(__CUDACC__)
  emulated_gpu::mma<kSigned>(c, a, b);
#else
  if (kSigned) {
    asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, "
        "%1, %2, %3};"
        : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  } else {
    asm("mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, "
        "%1, %2, %3};"
        : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  }
#endif
}

/// Starts to copy 16 bytes to shared memory, the first `count` of them from global memory and then zeros.
/// Both places are multiples of 16.
__device__ __forceinline__ void start_copy(void* to, const void* from, std::uint32_t count) {
#if !defined(__CUDACC__)
  emulated_gpu::copy_later(to, from, count, 16 - count);
#else
  const auto place = static_cast<std::uint32_t>(__cvta_generic_to_shared(to));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(place), "l"(from), "r"(count)
               : "memory");
#endif
}
/// Ends a group of copies that this thread has started.
__device__ __forceinline__ void end_copies() {
#if !defined(__CUDACC__)
  emulated_gpu::commit_copies();
#else
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
/// Waits for all groups of this thread but the last `kLeft`.
template <int kLeft>
__device__ __forceinline__ void wait_copies() {
#if !defined(__CUDACC__)
  emulated_gpu::wait_for_copies(kLeft);
#else
  asm volatile("cp.async.wait_group %0;" ::"n"(kLeft) : "memory");
#endif
}

/// Brings bytes to L2.
__device__ __forceinline__ void prefetch([[maybe_unused]] const void* at) {
#if defined(__CUDACC__)
  asm volatile("prefetch.global.L2 [%0];" ::"l"(at));
#endif
}

inline std::uint32_t blocks_of_warps(std::uint32_t warps) {
  return (warps + kBlock / kWarp - 1) / (kBlock / kWarp);
}

template <typename T>
struct Same {
  using Type = T;
};

/// Starts a kernel; nothing when there are no blocks.
template <typename... P>
void launch(void (*kernel)(P...), std::uint32_t blocks, std::uint32_t threads, void* stream,
            typename Same<P>::Type... arguments) {
  if (blocks == 0) return;
#if !defined(__CUDACC__)
  static_cast<void>(stream);
  emulated_gpu::launch({blocks, 1}, threads, [=] { kernel(arguments...); });
#else
  // clang-format off
  kernel<<<blocks, threads, 0, static_cast<cudaStream_t>(stream)>>>(arguments...);
  // clang-format on
#endif
}

}  // namespace twofold::device
