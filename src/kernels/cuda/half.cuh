#pragma once

#include <cstdint>

#if !defined(__CUDACC__)
#include "tensor/dtype.h"
#endif

// Two neighbouring floats of each type that weights and caches are stored in, for step.cu and attend.cu.
namespace twofold::device {

struct Half {
  std::uint16_t bits;
};
struct BFloat {
  std::uint16_t bits;
};
struct Pair {
  float first, second;
};

__device__ __forceinline__ float half_to_float(std::uint32_t bits) {
#if defined(__CUDACC__)
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(static_cast<std::uint16_t>(bits)));
  return value;
#else
  return f16_to_float(static_cast<std::uint16_t>(bits));
#endif
}
__device__ __forceinline__ std::uint16_t float_to_half(float value) {
#if defined(__CUDACC__)
  std::uint16_t bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  return bits;
#else
  return float_to_f16(value);
#endif
}
__device__ __forceinline__ float word_to_float(std::uint32_t bits) {
#if defined(__CUDACC__)
  return __uint_as_float(bits);
#else
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
#endif
}

/// Elements i and i + 1, of which i is even.
__device__ __forceinline__ Pair load_pair(const float* from, std::size_t i) {
  const uint2 words = *reinterpret_cast<const uint2*>(from + i);
  return {word_to_float(words.x), word_to_float(words.y)};
}
__device__ __forceinline__ Pair load_pair(const Half* from, std::size_t i) {
  const std::uint32_t word = *reinterpret_cast<const std::uint32_t*>(from + i);
  return {half_to_float(word & 0xffff), half_to_float(word >> 16)};
}
__device__ __forceinline__ Pair load_pair(const BFloat* from, std::size_t i) {
  const std::uint32_t word = *reinterpret_cast<const std::uint32_t*>(from + i);
  return {word_to_float(word << 16), word_to_float(word & 0xffff0000U)};
}

__device__ __forceinline__ void store(float* to, float value) {
  *to = value;
}
__device__ __forceinline__ void store(Half* to, float value) {
  to->bits = float_to_half(value);
}

}  // namespace twofold::device
