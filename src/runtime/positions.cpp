#include "runtime/positions.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "tensor/dtype.h"

namespace twofold {

namespace {

float round_bf16(float value) {
  return bf16_to_float(float_to_bf16(value));
}

/// Slopes of the heads: powers of 2^(-8 / n) for the largest power of two n up to their number, then every
/// other one of 2^(-4 / n) (Press et al., arXiv 2108.12409, and its authors' program).
std::vector<float> alibi_slopes(std::size_t heads) {
  const std::size_t power = std::bit_floor(heads);
  std::vector<float> slopes;
  for (std::size_t i = 0; i < heads; ++i) {
    const double base = std::exp2(-8.0 / static_cast<double>(i < power ? power : 2 * power));
    const std::size_t exponent = i < power ? i + 1 : 2 * (i - power) + 1;
    slopes.push_back(static_cast<float>(std::pow(base, static_cast<double>(exponent))));
  }
  return slopes;
}

}  // namespace

void RopeTable::reserve(std::int64_t end) {
  if (frequencies_.empty()) return;
  auto position = first_ + static_cast<std::int64_t>(cosines_.size() / frequencies_.size());
  for (; position < end; ++position) {
    for (const float frequency : frequencies_) {
      const float angle = static_cast<float>(position) * frequency;
      cosines_.push_back(magnitude_ * std::cos(angle));
      sines_.push_back(magnitude_ * std::sin(angle));
    }
  }
}

Positions::Positions(const ModelSpec& spec) {
  for (const RopeSpec& rope : spec.ropes)
    kinds_.push_back({rope, RopeTable(rope.frequencies(0), rope.magnitude), {}, {}});
  if (spec.alibi) alibi_heads_ = static_cast<std::size_t>(spec.heads);
}

void Positions::prepare(std::span<const LayerSlice> slices) {
  for (Kind& kind : kinds_) prepare_rope(kind, slices);
  std::int64_t longest = 0;
  for (const LayerSlice& slice : slices) longest = std::max(longest, slice.position + slice.tokens);
  if (alibi_heads_ > 0) reserve_alibi(static_cast<std::size_t>(longest));
}

void Positions::prepare_rope(Kind& kind, std::span<const LayerSlice> slices) {
  const RopeSpec& spec = kind.spec;
  const bool dynamic = spec.scaling == RopeSpec::Scaling::kDynamic;
  if (dynamic) kind.longer.clear();  // theta is another with every token
  kind.of_slice.clear();
  for (const LayerSlice& slice : slices) {
    const std::int64_t length = slice.position + slice.tokens;
    RopeTable* table = &kind.table;
    if (spec.depends_on_length() && length > spec.original_positions) {
      if (dynamic || kind.longer.empty())
        kind.longer.emplace_back(spec.frequencies(length), spec.magnitude, dynamic ? slice.position : 0);
      table = &kind.longer.back();
    }
    table->reserve(length);
    kind.of_slice.push_back(table);
  }
}

void Positions::reserve_alibi(std::size_t positions) {
  if (positions <= alibi_stride_) return;
  alibi_stride_ = std::max<std::size_t>(256, std::bit_ceil(positions));
  alibi_.clear();
  for (const float slope : alibi_slopes(alibi_heads_)) {
    // The reference computes them in BF16 whatever else it computes in.
    for (std::size_t j = 0; j < alibi_stride_; ++j)
      alibi_.push_back(round_bf16(round_bf16(slope) * round_bf16(static_cast<float>(j))));
  }
}

}  // namespace twofold
