#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "kernels/ops.h"
#include "runtime/feed_forward.h"
#include "runtime/weight_stream.h"

namespace twofold {

namespace {

using Size = std::size_t;

/// One token's share of an expert.
struct Share {
  Size token;
  float weight;
};

/// The `top_k` experts of each token by softmax of its router logits; of equals the first.
std::vector<std::vector<Share>> route(const MoeSpec& spec, std::vector<float>& logits, Size tokens) {
  const Size experts = spec.experts.size();
  const auto top_k = static_cast<Size>(spec.top_k);
  std::vector<std::vector<Share>> shares(experts);
  std::vector<Size> order(experts);
  for (Size t = 0; t < tokens; ++t) {
    float* p = &logits[t * experts];
    for (Size e = 0; e < experts; ++e) {
      if (!std::isfinite(p[e])) fail("{}: the router's logits are not finite", spec.router.name);
    }
    ops().softmax(p, experts);
    for (Size e = 0; e < experts; ++e) order[e] = e;
    std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(top_k), order.end(),
                      [p](Size a, Size b) { return p[a] != p[b] ? p[a] > p[b] : a < b; });
    float sum = 0;
    for (Size i = 0; i < top_k; ++i) sum += p[order[i]];
    for (Size i = 0; i < top_k; ++i)
      shares[order[i]].push_back({t, spec.normalize ? p[order[i]] / sum : p[order[i]]});
  }
  return shares;
}

std::vector<float> multiply_one(const Linear& linear, const float* x, std::int64_t tokens,
                                Workspace& workspace) {
  std::vector<float> y(static_cast<Size>(tokens * linear.rows()));
  multiply_group(std::array{&linear}, x, tokens, std::array{y.data()}, workspace);
  return y;
}

void run_shared(const MoeSpec& spec, const MoeWeights& weights, const float* x, std::int64_t tokens,
                float* out, Workspace& workspace, InputObserver* observer) {
  const Size width = static_cast<Size>(spec.router.cols);
  run_feed_forward(spec.shared, weights.shared, x, tokens, out, workspace, observer);
  if (weights.shared_gate == nullptr) return;
  const std::vector<float> gate = multiply_one(*weights.shared_gate, x, tokens, workspace);
  for (Size t = 0; t < gate.size(); ++t) {
    const float factor = 1.0F / (1.0F + std::exp(-gate[t]));
    for (Size i = 0; i < width; ++i) out[t * width + i] *= factor;
  }
}

}  // namespace

void run_moe(const MoeSpec& spec, const MoeWeights& weights, const float* x, std::int64_t tokens, float* out,
             Workspace& workspace, InputObserver* observer) {
  const auto n = static_cast<Size>(tokens);
  const Size width = static_cast<Size>(spec.router.cols);
  if (weights.shared.down != nullptr) {
    run_shared(spec, weights, x, tokens, out, workspace, observer);
  } else {
    std::fill(out, out + n * width, 0.0F);
  }
  std::vector<float> logits = multiply_one(*weights.router, x, tokens, workspace);
  const auto shares = route(spec, logits, n);
  if (workspace.stream != nullptr) {
    std::vector<const Linear*> used;
    for (Size e = 0; e < shares.size(); ++e) {
      if (shares[e].empty()) continue;
      for (const auto& in : weights.experts[e].in) used.push_back(in.get());
      used.push_back(weights.experts[e].down.get());
    }
    workspace.stream->expect(used);
  }
  AlignedVector<float> gathered;
  AlignedVector<float> result;
  for (Size e = 0; e < shares.size(); ++e) {
    const std::vector<Share>& mine = shares[e];
    const FeedForwardSpec& expert = spec.experts[e];
    if (mine.empty()) {
      if (observer == nullptr) continue;
      std::vector<const LinearSpec*> in;
      for (const LinearSpec& linear : expert.in) in.push_back(&linear);
      observer->observe(in, nullptr, 0);
      observer->observe(std::array{&expert.down}, nullptr, 0);
      continue;
    }
    gathered.resize(mine.size() * width);
    result.resize(mine.size() * width);
    for (Size i = 0; i < mine.size(); ++i)
      std::memcpy(&gathered[i * width], x + mine[i].token * width, width * sizeof(float));
    run_feed_forward(expert, weights.experts[e], gathered.data(), static_cast<std::int64_t>(mine.size()),
                     result.data(), workspace, observer);
    for (Size i = 0; i < mine.size(); ++i)
      ops().axpy(mine[i].weight, &result[i * width], out + mine[i].token * width, width);
  }
}

}  // namespace twofold
