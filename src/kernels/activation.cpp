#include "kernels/activation.h"

#include <algorithm>
#include <cmath>

#include "kernels/ops.h"

namespace twofold {

namespace {

constexpr std::size_t kBlock = 256;

}  // namespace

void relu(float* x, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) x[i] = x[i] > 0 ? x[i] : 0;
}

void silu(float* x, std::size_t n) {
  float ones[kBlock];
  std::fill(ones, ones + kBlock, 1.0F);
  for (std::size_t i = 0; i < n; i += kBlock) ops().swiglu(x + i, ones, std::min(kBlock, n - i));
}

void gelu(float* x, std::size_t n) {
  // erfc(z) = 1 / (1 + a1 z + ... + a6 z^6)^16 for z >= 0 to within 3e-7 (Abramowitz and Stegun 7.1.28),
  // which a compiler can vectorize.
  constexpr float kInvSqrt2 = 0.70710678F;
  for (std::size_t i = 0; i < n; ++i) {
    const float magnitude = std::fabs(x[i]);
    const float z = magnitude * kInvSqrt2;
    float p = 0.0000430638F;
    p = p * z + 0.0002765672F;
    p = p * z + 0.0001520143F;
    p = p * z + 0.0092705272F;
    p = p * z + 0.0422820123F;
    p = p * z + 0.0705230784F;
    p = p * z + 1.0F;
    p *= p;
    p *= p;
    p *= p;
    p *= p;
    x[i] = (x[i] > 0 ? x[i] : 0) - 0.5F * magnitude / p;
  }
}

void gelu_tanh(float* x, std::size_t n) {
  // (1 + tanh(u)) / 2 = 1 / (1 + exp(-2u)): swiglu does the rest with gate 2u and up x / 2u.
  constexpr float kTwiceSqrt2OverPi = 1.5957691216F;
  float up[kBlock];
  for (std::size_t begin = 0; begin < n; begin += kBlock) {
    const std::size_t count = std::min(kBlock, n - begin);
    float* part = x + begin;
    for (std::size_t i = 0; i < count; ++i) {
      const float slope = kTwiceSqrt2OverPi * (1.0F + 0.044715F * part[i] * part[i]);
      part[i] *= slope;
      up[i] = 1.0F / slope;
    }
    ops().swiglu(part, up, count);
  }
}

}  // namespace twofold
