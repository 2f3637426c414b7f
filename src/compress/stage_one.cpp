#include "compress/stage_one.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/error.h"
#include "kernels/ops.h"
#include "tensor/tensor_floats.h"

namespace twofold {

namespace {

constexpr std::size_t kBlock = 1 << 16;  // elements per unit of parallel work

/// The step for values up to `abs_max`; 1 when they are all zero, or too small for a step to have an inverse.
float usable_step(float abs_max) {
  const float step = abs_max / 127.0F;
  return step > 0 && std::isfinite(1.0F / step) ? step : 1.0F;
}

/// Index of the first element that is not finite, or `values.size()`.
std::size_t first_bad(std::span<const float> values) {
  constexpr std::uint32_t kInfinity = 0x7f800000;  // all NaN lie above it once the sign is off
  std::uint32_t largest = 0;
  for (const float x : values) largest = std::max(largest, std::bit_cast<std::uint32_t>(x) & 0x7fffffffU);
  if (largest < kInfinity) return values.size();
  return static_cast<std::size_t>(
      std::find_if(values.begin(), values.end(), [](float x) { return !std::isfinite(x); }) - values.begin());
}

/// Converts elements [begin, begin + out.size()) and checks them.
void load_block(const TensorView& tensor, std::size_t begin, std::span<float> out) {
  read_floats(tensor, begin, out);
  const std::size_t bad = first_bad(out);
  if (bad == out.size()) return;
  const std::size_t cols = static_cast<std::size_t>(tensor.shape.empty() ? 1 : tensor.shape.back());
  fail("{}: {}: expected finite weights, found {} at row {}, column {}", tensor.file, tensor.name, out[bad],
       (begin + bad) / cols, (begin + bad) % cols);
}

void require_float(const TensorView& tensor) {
  if (!is_weight(tensor)) {
    fail("{}: {}: expected F32, F16, BF16 or GGML blocks, found {}", tensor.file, tensor.name,
         dtype_name(tensor.dtype));
  }
}

template <typename Body>
void for_blocks(std::size_t n, ThreadPool& pool, const Body& body) {
  pool.run((n + kBlock - 1) / kBlock, [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t block = begin; block < end; ++block) {
      const std::size_t first = block * kBlock;
      body(first, std::min(kBlock, n - first));
    }
  });
}

}  // namespace

std::vector<float> dc_scales(std::span<const float> abs_max, double alpha) {
  double mean = 0;
  for (const float a : abs_max) mean += a;
  mean /= static_cast<double>(std::max<std::size_t>(abs_max.size(), 1));
  std::vector<float> scales;
  scales.reserve(abs_max.size());
  for (const float a : abs_max) {
    const double seen = mean > 0 ? std::max(static_cast<double>(a), 0.01 * mean) : 1.0;
    scales.push_back(bf16_to_float(float_to_bf16(static_cast<float>(std::pow(seen, alpha)))));
  }
  return scales;
}

QuantizedMatrix quantize_per_tensor(std::span<const float> weights, std::int64_t rows, std::int64_t cols,
                                    std::vector<float> input_scale, ThreadPool& pool) {
  QuantizedMatrix out;
  out.parts.rows = rows;
  out.parts.cols = cols;
  out.q.resize(weights.size());
  const auto width = static_cast<std::size_t>(cols);
  const float* scale = input_scale.empty() ? nullptr : input_scale.data();
  std::vector<float> row_max(static_cast<std::size_t>(rows));
  pool.run(row_max.size(), [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t r = begin; r < end; ++r) row_max[r] = ops().abs_max(&weights[r * width], scale, width);
  });
  const float max = row_max.empty() ? 0.0F : *std::max_element(row_max.begin(), row_max.end());
  const float step = usable_step(max);
  pool.run(row_max.size(), [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t r = begin; r < end; ++r) {
      ops().quantize(&weights[r * width], scale, 1.0F / step, width, &out.q[r * width]);
    };
  });
  out.parts.scale = {step};
  out.parts.input_scale = std::move(input_scale);
  return out;
}

QuantizedMatrix quantize_per_row(std::span<const float> weights, std::int64_t rows, std::int64_t cols,
                                 ThreadPool& pool) {
  QuantizedMatrix out;
  out.parts.rows = rows;
  out.parts.cols = cols;
  out.parts.scale.resize(static_cast<std::size_t>(rows));
  out.q.resize(weights.size());
  const auto width = static_cast<std::size_t>(cols);
  pool.run(out.parts.scale.size(), [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t r = begin; r < end; ++r) {
      const float step = usable_step(ops().abs_max(&weights[r * width], nullptr, width));
      out.parts.scale[r] = step;
      ops().quantize(&weights[r * width], nullptr, 1.0F / step, width, &out.q[r * width]);
    }
  });
  return out;
}

void prune(std::span<const float> weights, std::span<const float> abs_max, double sparsity,
           std::span<std::int8_t> q, ThreadPool& pool) {
  const auto count = static_cast<std::size_t>(sparsity * static_cast<double>(weights.size()));
  if (count == 0) return;
  const std::size_t cols = abs_max.size();
  AlignedVector<float> scores(weights.size());
  const auto score = [&](std::size_t i) { return std::fabs(weights[i]) * abs_max[i % cols]; };
  for_blocks(weights.size(), pool, [&](std::size_t first, std::size_t n) {
    for (std::size_t i = first; i < first + n; ++i) scores[i] = score(i);
  });
  const auto nth = scores.begin() + static_cast<std::ptrdiff_t>(count);
  std::nth_element(scores.begin(), nth, scores.end());
  const float threshold = *nth;
  for_blocks(weights.size(), pool, [&](std::size_t first, std::size_t n) {
    for (std::size_t i = first; i < first + n; ++i) {
      if (score(i) < threshold) q[i] = 0;
    }
  });
}

QuantizedMatrix stage_one(std::span<const float> weights, std::int64_t rows, std::int64_t cols,
                          const ChannelStatistics& statistics, const Recipe& recipe, ThreadPool& pool) {
  std::vector<float> scales =
      recipe.alpha > 0 ? dc_scales(statistics.abs_max, recipe.alpha) : std::vector<float>{};
  QuantizedMatrix out = quantize_per_tensor(weights, rows, cols, std::move(scales), pool);
  // An expert that no calibration token was sent to: its channels count alike, its step is found at run time.
  const bool seen =
      std::any_of(statistics.abs_max.begin(), statistics.abs_max.end(), [](float a) { return a > 0; });
  const std::vector<float> alike(seen ? 0 : statistics.abs_max.size(), 1.0F);
  prune(weights, seen ? statistics.abs_max : alike, recipe.sparsity, out.q, pool);
  if (seen && recipe.activations == ActivationMode::kPerTensorStatic) {
    float max = 0;  // of |X'| = |X / s| over the calibration text
    for (std::size_t j = 0; j < statistics.abs_max.size(); ++j) {
      const float s = out.parts.input_scale.empty() ? 1.0F : out.parts.input_scale[j];
      max = std::max(max, statistics.abs_max[j] / s);
    }
    out.parts.activation_step = usable_step(max);
  }
  return out;
}

AlignedVector<float> load_weights(const TensorView& tensor, ThreadPool& pool) {
  require_float(tensor);
  AlignedVector<float> weights(static_cast<std::size_t>(tensor.elements()));
  for_blocks(weights.size(), pool, [&](std::size_t first, std::size_t n) {
    load_block(tensor, first, {weights.data() + first, n});
  });
  return weights;
}

AlignedVector<float> load_linear(const Checkpoint& checkpoint, const LinearSpec& linear, ThreadPool& pool) {
  AlignedVector<float> stored = load_weights(checkpoint.at(linear.weight(), linear.stored_shape()), pool);
  if (!linear.transposed) return stored;
  AlignedVector<float> weights(stored.size());
  const auto rows = static_cast<std::size_t>(linear.rows);
  const auto cols = static_cast<std::size_t>(linear.cols);
  pool.run(rows, [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t c = 0; c < cols; ++c) {
      for (std::size_t r = begin; r < end; ++r) weights[r * cols + c] = stored[c * rows + r];
    }
  });
  return weights;
}

void check_finite(const TensorView& tensor, ThreadPool& pool) {
  require_float(tensor);
  for_blocks(static_cast<std::size_t>(tensor.elements()), pool, [&](std::size_t first, std::size_t n) {
    AlignedVector<float> block(n);
    load_block(tensor, first, {block.data(), n});
  });
}

}  // namespace twofold
