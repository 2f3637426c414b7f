#pragma once

// Four floats as a vector of the compiler's own, which every CPU with 128-bit registers computes well: what
// gemm_kernels.h needs where there is no file for the instruction set.

#include <cstddef>

namespace twofold {
namespace {

struct PortableFloats {
  typedef float Reg __attribute__((vector_size(16)));
  static constexpr std::size_t kWidth = 4;
  static constexpr int kGemmRows = 6;

  static Reg zero() { return Reg{}; }
  static Reg set(float value) { return Reg{value, value, value, value}; }
  static Reg load(const float* p) {
    Reg v;
    __builtin_memcpy(&v, p, sizeof(v));
    return v;
  }
  static void store(float* p, Reg v) { __builtin_memcpy(p, &v, sizeof(v)); }
  static Reg load_part(const float* p, std::size_t n, Reg rest) {
    for (std::size_t i = 0; i < n; ++i) rest[i] = p[i];
    return rest;
  }
  static void store_part(float* p, std::size_t n, Reg v) {
    for (std::size_t i = 0; i < n; ++i) p[i] = v[i];
  }
  static Reg add(Reg a, Reg b) { return a + b; }
  static Reg fma(Reg a, Reg b, Reg c) { return a * b + c; }
  static float reduce_add(Reg v) { return (v[0] + v[2]) + (v[1] + v[3]); }

  static constexpr std::size_t kTranspose = 4;
  static void transpose(const float* in, std::size_t in_stride, float* out, std::size_t out_stride) {
    for (std::size_t i = 0; i < kTranspose; ++i) {
      for (std::size_t j = 0; j < kTranspose; ++j) out[j * out_stride + i] = in[i * in_stride + j];
    }
  }
};

}  // namespace
}  // namespace twofold
