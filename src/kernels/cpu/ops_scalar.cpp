#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "kernels/cpu/gemm_kernels.h"
#include "kernels/cpu/vec_portable.h"
#include "kernels/ops.h"
#include "tensor/dtype.h"

namespace twofold {

namespace {

using Size = std::size_t;

float dot(const float* a, const float* b, Size n) {
  float sums[8] = {};  // independent, so that the compiler can use vectors
  Size i = 0;
  for (; i + 8 <= n; i += 8) {
    for (Size j = 0; j < 8; ++j) sums[j] += a[i + j] * b[i + j];
  }
  for (; i < n; ++i) sums[0] += a[i] * b[i];
  return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

void axpy(float scale, const float* x, float* y, Size n) {
  for (Size i = 0; i < n; ++i) y[i] += scale * x[i];
}

void rms_norm(const float* x, const float* weight, float eps, Size n, float* out) {
  if (n == 0) return;
  const float factor = 1.0F / std::sqrt(dot(x, x, n) / static_cast<float>(n) + eps);
  for (Size i = 0; i < n; ++i) out[i] = x[i] * factor * weight[i];
}

float softmax_part(float* x, Size n, float& max) {
  for (Size i = 0; i < n; ++i) max = x[i] > max ? x[i] : max;
  float sum = 0.0F;
  for (Size i = 0; i < n; ++i) sum += x[i] = std::exp(x[i] - max);
  return sum;
}

void softmax(float* x, Size n) {
  float max = -std::numeric_limits<float>::infinity();
  const float factor = 1.0F / softmax_part(x, n, max);
  for (Size i = 0; i < n; ++i) x[i] *= factor;
}

void swiglu(float* gate, const float* up, Size n) {
  for (Size i = 0; i < n; ++i) gate[i] = gate[i] / (1.0F + std::exp(-gate[i])) * up[i];
}

void rope(float* x, const float* cosines, const float* sines, Size half) {
  for (Size i = 0; i < half; ++i) {
    const float a = x[i];
    const float b = x[i + half];
    x[i] = a * cosines[i] - b * sines[i];
    x[i + half] = b * cosines[i] + a * sines[i];
  }
}

void convert_bf16(const std::uint16_t* x, float* out, Size n) {
  for (Size i = 0; i < n; ++i) out[i] = bf16_to_float(x[i]);
}

void convert_f16(const std::uint16_t* x, float* out, Size n) {
  for (Size i = 0; i < n; ++i) out[i] = f16_to_float(x[i]);
}

float abs_max(const float* x, const float* inv_scale, Size n) {
  float max = 0.0F;
  for (Size i = 0; i < n; ++i) {
    const float value = std::fabs(inv_scale == nullptr ? x[i] : x[i] * inv_scale[i]);
    if (value > max) max = value;  // false for NaN
  }
  return max;
}

void quantize(const float* x, const float* inv_scale, float inv_step, Size n, std::int8_t* q) {
  for (Size i = 0; i < n; ++i) {
    float value = (inv_scale == nullptr ? x[i] : x[i] * inv_scale[i]) * inv_step;
    if (std::isnan(value)) value = 0.0F;
    value = value < -127.0F ? -127.0F : value > 127.0F ? 127.0F : value;
    q[i] = static_cast<std::int8_t>(std::nearbyint(value));
  }
}

std::int32_t dot_i8(const std::int8_t* a, const std::int8_t* b, Size n) {
  std::int32_t sum = 0;
  for (Size i = 0; i < n; ++i) sum += static_cast<std::int32_t>(a[i]) * b[i];
  return sum;
}

/// As they are, without gaps.
void pack_i8(const std::int8_t* x, Size x_stride, Size cols, Size, Size begin, Size end,
             std::int8_t* packed) {
  for (Size t = begin; t < end && cols > 0; ++t) std::memcpy(packed + t * cols, x + t * x_stride, cols);
}

void matmul_i8(const std::int8_t* w, Size rows, Size cols, const std::int8_t* packed, Size tokens,
               std::int32_t* out, Size out_stride) {
  constexpr Size kRows = 16;  // of w, read again for every token while they are in the cache
  for (Size begin = 0; begin < rows; begin += kRows) {
    const Size end = rows - begin < kRows ? rows : begin + kRows;
    for (Size t = 0; t < tokens; ++t) {
      for (Size r = begin; r < end; ++r) {
        out[t * out_stride + r] = dot_i8(w + r * cols, packed + t * cols, cols);
      }
    }
  }
}

}  // namespace

const Ops& scalar_ops() {
  using Products = GemmKernels<PortableFloats>;
  static const Ops table = {
      .isa = Isa::kScalar,
      .dot = dot,
      .axpy = axpy,
      .rms_norm = rms_norm,
      .gemm_nt = Products::gemm_nt,
      .gemm_nn = Products::gemm_nn,
      .softmax = softmax,
      .softmax_part = softmax_part,
      .swiglu = swiglu,
      .rope = rope,
      .bf16_to_float = convert_bf16,
      .f16_to_float = convert_f16,
      .abs_max = abs_max,
      .quantize = quantize,
      .pack_i8 = pack_i8,
      .matmul_i8 = matmul_i8,
  };
  return table;
}

}  // namespace twofold
