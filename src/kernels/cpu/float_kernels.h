#pragma once

// The float loops of ops.h written once for any register type V (vec_avx2.h, vec_avx512.h). Internal linkage
// for the reason given there; for the same reason nothing of the standard library is called that a compiler
// might leave as a function of its own.

#include <cmath>
#include <cstddef>
#include <cstdint>

namespace twofold {
namespace {

template <typename V>
struct FloatKernels {
  using Reg = typename V::Reg;
  static constexpr std::size_t kWidth = V::kWidth;

  static float dot(const float* a, const float* b, std::size_t n) {
    Reg sums[4] = {V::zero(), V::zero(), V::zero(), V::zero()};  // hide the latency of the additions
    std::size_t i = 0;
    for (; i + 4 * kWidth <= n; i += 4 * kWidth) {
      for (std::size_t j = 0; j < 4; ++j) {
        sums[j] = V::fma(V::load(a + i + j * kWidth), V::load(b + i + j * kWidth), sums[j]);
      }
    }
    for (; i + kWidth <= n; i += kWidth) sums[0] = V::fma(V::load(a + i), V::load(b + i), sums[0]);
    if (i < n) {
      sums[1] = V::fma(V::load_part(a + i, n - i, V::zero()), V::load_part(b + i, n - i, V::zero()), sums[1]);
    }
    return V::reduce_add(V::add(V::add(sums[0], sums[1]), V::add(sums[2], sums[3])));
  }

  static void axpy(float scale, const float* x, float* y, std::size_t n) {
    const Reg factor = V::set(scale);
    std::size_t i = 0;
    for (; i + kWidth <= n; i += kWidth) V::store(y + i, V::fma(factor, V::load(x + i), V::load(y + i)));
    if (i < n) {
      const Reg part =
          V::fma(factor, V::load_part(x + i, n - i, V::zero()), V::load_part(y + i, n - i, V::zero()));
      V::store_part(y + i, n - i, part);
    }
  }

  static void rms_norm(const float* x, const float* weight, float eps, std::size_t n, float* out) {
    if (n == 0) return;
    const float mean = dot(x, x, n) / static_cast<float>(n);
    const Reg factor = V::set(1.0F / __builtin_sqrtf(mean + eps));
    std::size_t i = 0;
    for (; i + kWidth <= n; i += kWidth) {
      V::store(out + i, V::mul(V::mul(V::load(x + i), factor), V::load(weight + i)));
    }
    if (i < n) {
      const Reg scaled = V::mul(V::load_part(x + i, n - i, V::zero()), factor);
      V::store_part(out + i, n - i, V::mul(scaled, V::load_part(weight + i, n - i, V::zero())));
    }
  }

  /// exp(x) = 2^n exp(r) with r = x - n ln 2, |r| <= ln 2 / 2: the Taylor series to r^7 leaves 5e-9. The
  /// bounds lie just beyond where the result is infinite or zero in float. NaN stays NaN.
  static Reg exp(Reg x) {
    x = V::max(V::set(-104.0F), V::min(V::set(89.0F), x));
    const Reg n = V::round(V::mul(x, V::set(1.44269504F)));
    Reg r = V::fnma(n, V::set(0.693145752F),
                    x);  // ln 2 in two parts; the first has 15 bits, so n times it is exact
    r = V::fnma(n, V::set(1.42860682e-6F), r);
    Reg series = V::set(1.0F / 5040);
    constexpr float kCoefficients[] = {1.0F / 720, 1.0F / 120, 1.0F / 24, 1.0F / 6, 0.5F, 1.0F, 1.0F};
    for (const float coefficient : kCoefficients) {
      series = V::fma(series, r, V::set(coefficient));
    }
    const Reg half = V::round(V::mul(n, V::set(0.5F)));  // 2^n itself may lie outside the range of float
    return V::mul(V::mul(series, V::exp2_of_integer(half)), V::exp2_of_integer(V::sub(n, half)));
  }

  static float softmax_part(float* x, std::size_t n, float& max) {
    Reg maxima = V::set(max);
    std::size_t i = 0;
    for (; i + kWidth <= n; i += kWidth) maxima = V::max(maxima, V::load(x + i));
    if (i < n) maxima = V::max(maxima, V::load_part(x + i, n - i, maxima));
    max = V::reduce_max(maxima);
    const Reg offset = V::set(max);
    Reg sum = V::zero();
    for (i = 0; i + kWidth <= n; i += kWidth) {
      const Reg e = exp(V::sub(V::load(x + i), offset));
      V::store(x + i, e);
      sum = V::add(sum, e);
    }
    if (i < n) {
      const Reg nothing = V::set(-INFINITY);
      const Reg e = exp(V::sub(V::load_part(x + i, n - i, nothing), offset));
      V::store_part(x + i, n - i, e);
      sum = V::add(sum, e);
    }
    return V::reduce_add(sum);
  }

  static void softmax(float* x, std::size_t n) {
    float max = -INFINITY;
    const Reg factor = V::set(1.0F / softmax_part(x, n, max));
    std::size_t i = 0;
    for (; i + kWidth <= n; i += kWidth) V::store(x + i, V::mul(V::load(x + i), factor));
    if (i < n) V::store_part(x + i, n - i, V::mul(V::load_part(x + i, n - i, V::zero()), factor));
  }

  static Reg swiglu(Reg gate, Reg up) {
    const Reg denominator = V::add(V::set(1.0F), exp(V::sub(V::zero(), gate)));
    return V::mul(V::div(gate, denominator), up);
  }

  static void swiglu(float* gate, const float* up, std::size_t n) {
    std::size_t i = 0;
    for (; i + kWidth <= n; i += kWidth) V::store(gate + i, swiglu(V::load(gate + i), V::load(up + i)));
    if (i < n) {
      const Reg part =
          swiglu(V::load_part(gate + i, n - i, V::zero()), V::load_part(up + i, n - i, V::zero()));
      V::store_part(gate + i, n - i, part);
    }
  }

  static void rope(float* x, const float* cosines, const float* sines, std::size_t half) {
    float* y = x + half;
    std::size_t i = 0;
    for (; i + kWidth <= half; i += kWidth) {
      const Reg a = V::load(x + i);
      const Reg b = V::load(y + i);
      const Reg c = V::load(cosines + i);
      const Reg s = V::load(sines + i);
      V::store(x + i, V::fnma(b, s, V::mul(a, c)));
      V::store(y + i, V::fma(a, s, V::mul(b, c)));
    }
    if (i < half) {
      const std::size_t n = half - i;
      const Reg a = V::load_part(x + i, n, V::zero());
      const Reg b = V::load_part(y + i, n, V::zero());
      const Reg c = V::load_part(cosines + i, n, V::zero());
      const Reg s = V::load_part(sines + i, n, V::zero());
      V::store_part(x + i, n, V::fnma(b, s, V::mul(a, c)));
      V::store_part(y + i, n, V::fma(a, s, V::mul(b, c)));
    }
  }

  /// out[i] = convert(x + i) a vector at a time; the last elements go through a copy.
  template <typename Convert>
  static void convert_all(const std::uint16_t* x, float* out, std::size_t n, Convert convert) {
    std::size_t i = 0;
    for (; i + kWidth <= n; i += kWidth) V::store(out + i, convert(x + i));
    if (i < n) {
      std::uint16_t part[kWidth] = {};
      for (std::size_t j = 0; j < n - i; ++j) part[j] = x[i + j];
      V::store_part(out + i, n - i, convert(part));
    }
  }
  static void bf16_to_float(const std::uint16_t* x, float* out, std::size_t n) {
    convert_all(x, out, n, [](const std::uint16_t* p) { return V::from_bf16(p); });
  }
  static void f16_to_float(const std::uint16_t* x, float* out, std::size_t n) {
    convert_all(x, out, n, [](const std::uint16_t* p) { return V::from_f16(p); });
  }

  /// The i-th to (i + count)-th of x[i] * scale[i], zero beyond.
  static Reg scaled(const float* x, const float* scale, std::size_t i, std::size_t count) {
    const Reg value = count == kWidth ? V::load(x + i) : V::load_part(x + i, count, V::zero());
    if (scale == nullptr) return value;
    return V::mul(value, count == kWidth ? V::load(scale + i) : V::load_part(scale + i, count, V::zero()));
  }

  static float abs_max(const float* x, const float* inv_scale, std::size_t n) {
    Reg maxima = V::zero();
    std::size_t i = 0;
    for (; i + kWidth <= n; i += kWidth) maxima = V::max(V::abs(scaled(x, inv_scale, i, kWidth)), maxima);
    if (i < n) maxima = V::max(V::abs(scaled(x, inv_scale, i, n - i)), maxima);
    return V::reduce_max(maxima);
  }

  static void quantize(const float* x, const float* inv_scale, float inv_step, std::size_t n,
                       std::int8_t* q) {
    const Reg step = V::set(inv_step);
    const auto clamped = [&](std::size_t i, std::size_t count) {
      const Reg value = V::nan_to_zero(V::mul(scaled(x, inv_scale, i, count), step));
      return V::max(V::set(-127.0F), V::min(V::set(127.0F), value));
    };
    std::size_t i = 0;
    for (; i + kWidth <= n; i += kWidth) V::store_int8(q + i, clamped(i, kWidth));
    if (i < n) {
      std::int8_t part[kWidth];
      V::store_int8(part, clamped(i, n - i));
      for (std::size_t j = 0; j < n - i; ++j) q[i + j] = part[j];
    }
  }
};

}  // namespace
}  // namespace twofold
