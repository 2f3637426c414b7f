#include "runtime/layer.h"

#include <algorithm>

#include "kernels/ops.h"

namespace twofold {

namespace {

using Size = std::size_t;

void add(const float* x, float* y, Size n, ThreadPool& pool) {
  constexpr Size kWorthSharing = 1 << 16;
  if (n < kWorthSharing) return ops().axpy(1.0F, x, y, n);
  pool.run(n / 64 + 1, [&](Size begin, Size end, int) {
    const Size first = begin * 64;
    ops().axpy(1.0F, x + first, y + first, std::min(n, end * 64) - first);
  });
}

}  // namespace

void run_layer(const ModelSpec& spec, const LayerSpec& layer, const LayerWeights& weights,
               std::span<const LayerSlice> slices, const Positions& positions, float* hidden,
               Workspace& workspace, InputObserver* observer) {
  std::int64_t tokens = 0;
  for (const LayerSlice& slice : slices) tokens += slice.tokens;
  const auto n = static_cast<Size>(tokens);
  const Size size = n * static_cast<Size>(spec.hidden_size);
  ThreadPool& pool = workspace.pool();
  const auto norm_in_place = [&](const NormSpec& norm, const NormWeights& norm_weights, float* x) {
    if (norm.present()) apply_norm(norm, norm_weights, x, n, x, pool);
  };

  AlignedVector<float> normed_buffer;
  const auto normed = [&](const NormSpec& norm, const NormWeights& norm_weights) -> const float* {
    if (!norm.present()) return hidden;
    normed_buffer.resize(size);
    apply_norm(norm, norm_weights, hidden, n, normed_buffer.data(), pool);
    return normed_buffer.data();
  };
  AlignedVector<float> attended(size);
  const float* input = normed(layer.attention_input, weights.attention_input);
  run_attention(spec, layer.attention, weights.attention, slices, positions, input, attended.data(),
                workspace, observer);
  norm_in_place(layer.attention_output, weights.attention_output, attended.data());
  if (!layer.parallel) {
    add(attended.data(), hidden, size, pool);
    norm_in_place(layer.residual_norm, weights.residual_norm, hidden);
  }

  if (!layer.parallel || layer.feed_forward_input.present())
    input = normed(layer.feed_forward_input, weights.feed_forward_input);
  AlignedVector<float> result(size);
  if (weights.moe) {
    run_moe(*layer.moe, *weights.moe, input, tokens, result.data(), workspace, observer);
  } else {
    run_feed_forward(layer.feed_forward, weights.feed_forward, input, tokens, result.data(), workspace,
                     observer);
  }
  norm_in_place(layer.feed_forward_output, weights.feed_forward_output, result.data());
  if (layer.parallel) add(attended.data(), hidden, size, pool);
  add(result.data(), hidden, size, pool);
  norm_in_place(layer.final_residual_norm, weights.final_residual_norm, hidden);
}

}  // namespace twofold
