#pragma once

#include <cstdint>
#include <cstring>
#include <functional>

// What CUDA adds to C++, so that kernels run on the CPU: this header comes before the source of a kernel. The
// threads of a block take turns (emulated_gpu.cpp); what lanes do together waits until all of them are there,
// and a lane that never comes ends the program.

#define TWOFOLD_EMULATED_GPU
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __shared__ static
#define __launch_bounds__(...)

struct EmulatedDim {
  unsigned x = 1, y = 1;
};
// NOLINTBEGIN(readability-identifier-naming): CUDA's names
extern EmulatedDim threadIdx, blockIdx, blockDim, gridDim;

struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};

namespace emulated_gpu {

/// Runs a kernel, or records it: all blocks one after the other.
void launch(EmulatedDim blocks, unsigned threads, const std::function<void()>& kernel);

constexpr std::size_t kValueBytes = 32;
struct alignas(8) Value {
  std::uint8_t bytes[kValueBytes];
};
/// Leaves a value for the other lanes of the warp and waits until all have done so. Returns those of the 32
/// lanes, valid until the lane's next exchange. `kind` must be the same for all.
const Value* exchange(int kind, const void* value, std::size_t size);
void sync_block();

/// Copies that are made when they are waited for.
void copy_later(void* to, const void* from, unsigned bytes, unsigned zeros);
void commit_copies();
void wait_for_copies(unsigned groups_left);

template <typename T>
T get(const Value& value) {
  T result;
  std::memcpy(&result, value.bytes, sizeof result);
  return result;
}
inline unsigned lane() {
  return threadIdx.x % 32;
}

}  // namespace emulated_gpu

inline void __syncthreads() {
  emulated_gpu::sync_block();
}
inline void __syncwarp() {
  emulated_gpu::exchange(0, "", 0);
}
inline unsigned __ballot_sync(unsigned, bool predicate) {
  const emulated_gpu::Value* const all = emulated_gpu::exchange(1, &predicate, sizeof predicate);
  unsigned result = 0;
  for (unsigned i = 0; i < 32; ++i) result |= static_cast<unsigned>(emulated_gpu::get<bool>(all[i])) << i;
  return result;
}
template <typename T>
T __shfl_sync(unsigned, T value, unsigned from) {
  return emulated_gpu::get<T>(emulated_gpu::exchange(2, &value, sizeof value)[from % 32]);
}
template <typename T>
T __shfl_up_sync(unsigned, T value, unsigned distance) {
  const emulated_gpu::Value* const all = emulated_gpu::exchange(3, &value, sizeof value);
  const unsigned lane = emulated_gpu::lane();
  return lane < distance ? value : emulated_gpu::get<T>(all[lane - distance]);
}
template <typename T>
T __shfl_xor_sync(unsigned, T value, unsigned mask) {
  return emulated_gpu::get<T>(emulated_gpu::exchange(4, &value, sizeof value)[emulated_gpu::lane() ^ mask]);
}
inline int __popc(unsigned word) {
  return __builtin_popcount(word);
}
inline int __ffs(unsigned word) {
  return __builtin_ffs(static_cast<int>(word));
}
inline int __dp4a(int a, int b, int sum) {
  for (int i = 0; i < 32; i += 8) {
    sum += static_cast<std::int8_t>(a >> i) * static_cast<std::int8_t>(b >> i);
  }
  return sum;
}
template <typename T>
T atomicAdd(T* to, T value) {
  const T before = *to;
  *to = static_cast<T>(*to + value);
  return before;
}
inline unsigned atomicOr(unsigned* to, unsigned value) {
  const unsigned before = *to;
  *to |= value;
  return before;
}
inline unsigned atomicCAS(unsigned* to, unsigned expected, unsigned value) {
  const unsigned before = *to;
  if (before == expected) *to = value;
  return before;
}
// NOLINTEND(readability-identifier-naming)

namespace emulated_gpu {

/// mma.m16n8k32 of bytes; `kSigned`: those of a. Layout of the fragments: PTX ISA, section "Matrix Fragments
/// for mma.m16n8k32".
template <bool kSigned>
void mma(int* c, const unsigned* a, const unsigned* b) {
  struct Fragments {
    unsigned a[4];
    unsigned b[2];
  } own;
  std::memcpy(own.a, a, sizeof own.a);
  std::memcpy(own.b, b, sizeof own.b);
  const Value* const all = exchange(5, &own, sizeof own);
  const unsigned group = lane() / 4;
  for (unsigned i = 0; i < 4; ++i) {
    const unsigned row = group + i / 2 * 8;
    const unsigned col = lane() % 4 * 2 + i % 2;
    for (unsigned k = 0; k < 32; ++k) {
      const auto of_a = get<Fragments>(all[row % 8 * 4 + k % 16 / 4]);
      const auto of_b = get<Fragments>(all[col * 4 + k % 16 / 4]);
      const unsigned byte_a = of_a.a[row / 8 + k / 16 * 2] >> (k % 4 * 8) & 255;
      const unsigned byte_b = of_b.b[k / 16] >> (k % 4 * 8) & 255;
      c[i] += (kSigned ? static_cast<std::int8_t>(byte_a) : static_cast<int>(byte_a)) *
              static_cast<std::int8_t>(byte_b);
    }
  }
}

}  // namespace emulated_gpu
