#include "compress/stage_one.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <optional>
#include <type_traits>

#include "base/error.h"
#include "kernels/ops.h"
#include "tensor/tensor_floats.h"

namespace twofold {

namespace {

constexpr std::size_t kBlock = 1 << 16;  // elements per unit of parallel work
constexpr std::size_t kScoreBlock = 16;

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

using Scores = std::array<float, kScoreBlock>;

/// Hands the scores |W_ij| * a_j of rows [begin, end) by blocks to body(first index, scores, how many); most
/// blocks are full, and their number is a constant, so that loops over them become vector code.
template <typename Body>
void for_score_blocks(std::span<const float> weights, std::span<const float> abs_max, std::size_t begin,
                      std::size_t end, const Body& body) {
  const std::size_t cols = abs_max.size();
  for (std::size_t row = begin * cols; row < end * cols; row += cols) {
    const auto block = [&](std::size_t c, auto n) {
      Scores scores;
      for (std::size_t i = 0; i < n; ++i) scores[i] = std::fabs(weights[row + c + i]) * abs_max[c + i];
      body(row + c, scores, n);
    };
    std::size_t c = 0;
    for (; c + kScoreBlock <= cols; c += kScoreBlock)
      block(c, std::integral_constant<std::size_t, kScoreBlock>{});
    if (c < cols) block(c, cols - c);
  }
}

struct Range {
  float low = 0;
  float high = std::numeric_limits<float>::infinity();
};

/// Where a sample of the scores says that the `rank`-th smallest must lie.
Range likely_range(std::span<const float> weights, std::span<const float> abs_max, std::size_t rank) {
  constexpr std::size_t kSample = 1 << 16;
  if (weights.size() < 4 * kSample) return {};
  std::vector<float> sample;
  const std::size_t stride = weights.size() / kSample | 1;  // odd, so that it meets all columns
  for (std::size_t i = 0; i < weights.size(); i += stride)
    sample.push_back(std::fabs(weights[i]) * abs_max[i % abs_max.size()]);
  std::sort(sample.begin(), sample.end());
  const std::size_t at = rank / stride;
  const std::size_t margin = sample.size() / 50;
  Range range;
  if (at >= margin) range.low = sample[at - margin];
  if (at + margin < sample.size()) range.high = sample[at + margin];
  return range;
}

/// The `rank`-th smallest score, from 0, if it is in the range; else nothing.
std::optional<float> score_of_rank(std::span<const float> weights, std::span<const float> abs_max,
                                   std::size_t rank, Range range, ThreadPool& pool) {
  struct Part {
    std::size_t below = 0;
    std::vector<float> inside;
  };
  std::vector<Part> parts(static_cast<std::size_t>(pool.size()));
  const std::size_t cols = abs_max.size();
  pool.run(weights.size() / cols, [&](std::size_t begin, std::size_t end, int worker) {
    Part part;
    std::array<std::uint32_t, kScoreBlock> below{};
    for_score_blocks(weights, abs_max, begin, end, [&](std::size_t, const Scores& scores, auto n) {
      // Few blocks have a score in the range; sums by place, not over places, become vector code.
      std::array<std::uint8_t, kScoreBlock> inside{};
      for (std::size_t i = 0; i < n; ++i) below[i] += scores[i] < range.low ? 1 : 0;
      for (std::size_t i = 0; i < n; ++i)
        inside[i] = (scores[i] >= range.low ? 1 : 0) & (scores[i] <= range.high ? 1 : 0);
      const auto any = std::bit_cast<std::array<std::uint64_t, kScoreBlock / 8>>(inside);
      if (std::accumulate(any.begin(), any.end(), std::uint64_t{0}, std::bit_or<>()) == 0) return;
      for (std::size_t i = 0; i < n; ++i) {
        if (inside[i] != 0) part.inside.push_back(scores[i]);
      }
    });
    part.below = std::accumulate(below.begin(), below.end(), std::size_t{0});
    parts[static_cast<std::size_t>(worker)] = std::move(part);
  });
  std::vector<float> inside;
  for (const Part& part : parts) {
    if (rank < part.below) return std::nullopt;
    rank -= part.below;
    inside.insert(inside.end(), part.inside.begin(), part.inside.end());
  }
  if (rank >= inside.size()) return std::nullopt;
  const auto nth = inside.begin() + static_cast<std::ptrdiff_t>(rank);
  std::nth_element(inside.begin(), nth, inside.end());
  return *nth;
}

bool seen(const ChannelStatistics& statistics) {
  return std::any_of(statistics.abs_max.begin(), statistics.abs_max.end(), [](float a) { return a > 0; });
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

float usable_step(float max, float levels) {
  const float step = max / levels;
  return step > 0 && std::isfinite(1.0F / step) ? step : 1.0F;
}

float static_activation_step(const ChannelStatistics& statistics, std::span<const float> input_scale) {
  if (!seen(statistics)) return 0;
  float max = 0;  // of |X'| = |X / s|
  for (std::size_t j = 0; j < statistics.abs_max.size(); ++j)
    max = std::max(max, statistics.abs_max[j] / (input_scale.empty() ? 1.0F : input_scale[j]));
  return usable_step(max);
}

void prune(std::span<const float> weights, std::span<const float> abs_max, double sparsity,
           std::span<std::int8_t> q, ThreadPool& pool) {
  const auto count = static_cast<std::size_t>(sparsity * static_cast<double>(weights.size()));
  if (count == 0) return;
  const Range range = likely_range(weights, abs_max, count);
  std::optional<float> threshold = score_of_rank(weights, abs_max, count, range, pool);
  if (!threshold) threshold = score_of_rank(weights, abs_max, count, Range{}, pool);
  const std::size_t cols = abs_max.size();
  pool.run(weights.size() / cols, [&, limit = *threshold](std::size_t begin, std::size_t end, int) {
    for_score_blocks(weights, abs_max, begin, end, [&](std::size_t first, const Scores& scores, auto n) {
      std::array<std::int8_t, kScoreBlock> keep;
      for (std::size_t i = 0; i < n; ++i) keep[i] = scores[i] < limit ? 0 : -1;
      for (std::size_t i = 0; i < n; ++i) q[first + i] &= keep[i];
    });
  });
}

QuantizedMatrix stage_one(std::span<const float> weights, std::int64_t rows, std::int64_t cols,
                          const ChannelStatistics& statistics, const Recipe& recipe, ThreadPool& pool) {
  std::vector<float> scales = recipe.scaler == "dc" && recipe.alpha > 0
                                  ? dc_scales(statistics.abs_max, recipe.alpha)
                                  : std::vector<float>{};
  QuantizedMatrix out = quantize_per_tensor(weights, rows, cols, std::move(scales), pool);
  // An expert that no calibration token was sent to: its channels count alike, its step is found at run time.
  const std::vector<float> alike(seen(statistics) ? 0 : statistics.abs_max.size(), 1.0F);
  prune(weights, alike.empty() ? statistics.abs_max : alike, recipe.sparsity, out.q, pool);
  if (recipe.activations == ActivationMode::kPerTensorStatic)
    out.parts.activation_step = static_activation_step(statistics, out.parts.input_scale);
  return out;
}

AlignedVector<float> load_weights(const TensorView& tensor, ThreadPool& pool, AlignedVector<float> reuse) {
  require_float(tensor);
  reuse.clear();  // so that growing copies nothing
  reuse.resize(static_cast<std::size_t>(tensor.elements()));
  for_blocks(reuse.size(), pool, [&](std::size_t first, std::size_t n) {
    load_block(tensor, first, {reuse.data() + first, n});
  });
  return reuse;
}

AlignedVector<float> load_linear(const Checkpoint& checkpoint, const LinearSpec& linear, ThreadPool& pool,
                                 AlignedVector<float> reuse) {
  const TensorView& tensor = checkpoint.at(linear.weight(), linear.stored_shape());
  if (!linear.transposed) return load_weights(tensor, pool, std::move(reuse));
  const AlignedVector<float> stored = load_weights(tensor, pool);
  reuse.clear();
  reuse.resize(stored.size());
  const auto rows = static_cast<std::size_t>(linear.rows);
  const auto cols = static_cast<std::size_t>(linear.cols);
  pool.run(rows, [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t c = 0; c < cols; ++c) {
      for (std::size_t r = begin; r < end; ++r) reuse[r * cols + c] = stored[c * rows + r];
    }
  });
  return reuse;
}

void check_finite(const TensorView& tensor, ThreadPool& pool) {
  require_float(tensor);
  for_blocks(static_cast<std::size_t>(tensor.elements()), pool, [&](std::size_t first, std::size_t n) {
    AlignedVector<float> block(n);
    load_block(tensor, first, {block.data(), n});
  });
}

}  // namespace twofold
