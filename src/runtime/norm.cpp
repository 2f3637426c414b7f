#include "runtime/norm.h"

#include <cmath>
#include <cstring>

#include "kernels/ops.h"

namespace twofold {

namespace {

/// Sum of value(0) ... value(n - 1), in lanes that the compiler can keep in a vector.
template <typename Value>
float sum_lanes(std::size_t n, const Value& value) {
  constexpr std::size_t kLanes = 16;
  float lanes[kLanes] = {};
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) lanes[lane] += value(i + lane);
  }
  float sum = 0;
  for (const float lane : lanes) sum += lane;
  for (; i < n; ++i) sum += value(i);
  return sum;
}

/// Ba, Kiros and Hinton, arXiv 1607.06450.
void layer_norm(const float* x, const NormWeights& weights, float eps, std::size_t n, float* out) {
  const auto count = static_cast<float>(n);
  const float mean = sum_lanes(n, [&](std::size_t i) { return x[i]; }) / count;
  const float squares = sum_lanes(n, [&](std::size_t i) { return (x[i] - mean) * (x[i] - mean); });
  const float inverse = 1.0F / std::sqrt(squares / count + eps);
  const float* weight = weights.weight.data();
  for (std::size_t i = 0; i < n; ++i) out[i] = (x[i] - mean) * inverse * weight[i];
  if (weights.bias.empty()) return;
  for (std::size_t i = 0; i < n; ++i) out[i] += weights.bias[i];
}

}  // namespace

void apply_norm(const NormSpec& spec, const NormWeights& weights, const float* x, float* out) {
  const auto size = static_cast<std::size_t>(spec.size);
  if (spec.kind == NormSpec::Kind::kLayer) {
    layer_norm(x, weights, spec.eps, size, out);
  } else {
    ops().rms_norm(x, weights.weight.data(), spec.eps, size, out);
  }
}

void apply_norm(const NormSpec& spec, const NormWeights& weights, const float* x, std::size_t rows,
                float* out, ThreadPool& pool) {
  const auto size = static_cast<std::size_t>(spec.size);
  if (!spec.present()) {
    if (out != x) std::memcpy(out, x, rows * size * sizeof(float));
    return;
  }
  pool.run(rows, [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t row = begin; row < end; ++row)
      apply_norm(spec, weights, x + row * size, out + row * size);
  });
}

}  // namespace twofold
