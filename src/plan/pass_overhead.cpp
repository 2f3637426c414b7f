#include "plan/pass_overhead.h"

#include <algorithm>
#include <chrono>

#include "base/interrupt.h"
#include "runtime/layer.h"
#include "runtime/residency.h"

namespace twofold {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kCacheBytes = 256 << 20;  // of keys and values that are kept; layers share them
constexpr int kPasses = 15;
constexpr double kLongest = 1.0;  // seconds after which the passes that were made must do

/// A linear layer that gives the same numbers at once.
class NoLinear final : public Linear {
 public:
  NoLinear(std::int64_t rows, std::int64_t cols) {
    rows_ = rows;
    cols_ = cols;
  }
  StoredWeight stored() const override { return {}; }
  std::int64_t units() const override { return 1; }
  ByteRange unit_bytes(std::int64_t) const override { return {}; }
  void multiply(std::int64_t, const StoredPart&, const LinearInput&, std::int64_t tokens, float* y,
                std::size_t y_stride, Workspace::Worker&) const override {
    for (std::int64_t t = 0; t < tokens; ++t) {
      float* row = y + static_cast<std::size_t>(t) * y_stride;
      for (std::int64_t r = 0; r < rows_; ++r) row[r] = 0.01F * static_cast<float>(r % 7);
    }
  }
  void prepare(const float*, std::int64_t, LinearInput&, ThreadPool&) const override {}
  bool same_input(const Linear&) const override { return true; }
};

std::unique_ptr<Linear> no_linear(const LinearSpec& spec) {
  return spec.present() ? std::make_unique<NoLinear>(spec.rows, spec.cols) : nullptr;
}

NormWeights no_norm(const NormSpec& spec) {
  NormWeights weights;
  if (!spec.present()) return weights;
  weights.weight.assign(static_cast<std::size_t>(spec.size), 1.0F);
  if (spec.bias) weights.bias.assign(static_cast<std::size_t>(spec.size), 0.0F);
  return weights;
}

FeedForwardWeights no_feed_forward(const FeedForwardSpec& spec) {
  FeedForwardWeights weights;
  for (const LinearSpec& in : spec.in) weights.in.push_back(no_linear(in));
  weights.down = no_linear(spec.down);
  return weights;
}

LayerWeights no_layer(const LayerSpec& spec) {
  LayerWeights weights;
  weights.attention_input = no_norm(spec.attention_input);
  weights.attention_output = no_norm(spec.attention_output);
  weights.residual_norm = no_norm(spec.residual_norm);
  weights.feed_forward_input = no_norm(spec.feed_forward_input);
  weights.feed_forward_output = no_norm(spec.feed_forward_output);
  weights.final_residual_norm = no_norm(spec.final_residual_norm);
  for (const LinearSpec& in : spec.attention.qkv) weights.attention.qkv.push_back(no_linear(in));
  weights.attention.out = no_linear(spec.attention.out);
  weights.attention.q_norm = no_norm(spec.attention.q_norm);
  weights.attention.k_norm = no_norm(spec.attention.k_norm);
  if (!spec.moe) {
    weights.feed_forward = no_feed_forward(spec.feed_forward);
    return weights;
  }
  weights.moe.emplace();
  weights.moe->router = no_linear(spec.moe->router);
  for (const FeedForwardSpec& expert : spec.moe->experts)
    weights.moe->experts.push_back(no_feed_forward(expert));
  weights.moe->shared = no_feed_forward(spec.moe->shared);
  weights.moe->shared_gate = no_linear(spec.moe->shared_gate);
  return weights;
}

}  // namespace

double measure_pass_overhead(const ModelSpec& spec, int threads, std::int64_t context) {
  context = std::clamp<std::int64_t>(context, 0, spec.max_positions - 1);
  Workspace workspace(threads);
  std::vector<LayerWeights> layers;
  for (const LayerSpec& layer : spec.layers) layers.push_back(no_layer(layer));
  const std::uint64_t each = std::max<std::uint64_t>(1, cache_bytes(spec, 1, context) / spec.layers.size());
  std::vector<LayerCache> caches(std::clamp<std::size_t>(kCacheBytes / each, 1, spec.layers.size()));
  const auto length = static_cast<std::size_t>(context * spec.head_dim);
  const auto for_heads = [&](LayerCache& cache, const auto& function) {
    for (auto* heads : {&cache.keys, &cache.values}) {
      heads->resize(static_cast<std::size_t>(spec.kv_heads));
      for (AlignedVector<float>& head : *heads) function(head);
    }
  };
  for (LayerCache& cache : caches) {
    for_heads(cache, [&](AlignedVector<float>& head) {
      head.reserve(length + static_cast<std::size_t>(spec.head_dim));
      head.assign(length, 0.01F);
    });
  }
  LayerSlice slice{nullptr, context, 1};
  Positions positions(spec);
  std::vector<double> times;
  double total = 0;
  for (int pass = 0; pass < kPasses + 2 && (pass < 3 || total < kLongest); ++pass) {
    check_interrupt();
    const double linear_before = workspace.linear_seconds;
    const auto start = Clock::now();
    positions.prepare({&slice, 1});
    AlignedVector<float> hidden(static_cast<std::size_t>(spec.hidden_size));
    std::fill(hidden.begin(), hidden.end(), 0.5F);
    for (std::size_t i = 0; i < layers.size(); ++i) {
      slice.cache = &caches[i % caches.size()];
      run_layer(spec, spec.layers[i], layers[i], {&slice, 1}, positions, hidden.data(), workspace);
      for_heads(*slice.cache, [&](AlignedVector<float>& head) { head.resize(length); });
    }
    const std::vector<float> logits(static_cast<std::size_t>(spec.vocab_size));
    const double time = std::chrono::duration<double>(Clock::now() - start).count() -
                        (workspace.linear_seconds - linear_before);
    total += time;
    if (pass >= 2 && logits[0] == 0) times.push_back(time);
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

}  // namespace twofold
