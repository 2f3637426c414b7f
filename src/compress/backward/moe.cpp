#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "compress/backward/feed_forward.h"
#include "kernels/ops.h"

namespace twofold {

namespace {

using Size = std::size_t;

AlignedVector<float> multiply_one(const Linear& linear, const float* x, std::int64_t tokens,
                                  Workspace& workspace) {
  AlignedVector<float> y(static_cast<Size>(tokens * linear.rows()));
  multiply_group(std::array{&linear}, x, tokens, std::array{y.data()}, workspace);
  return y;
}

/// dx is overwritten.
void backward_shared(const BackwardPass& pass, const MoeSpec& spec, const MoeWeights& weights, const float* x,
                     const float* dout, float* dx) {
  const Size width = static_cast<Size>(spec.router.cols);
  if (weights.shared_gate == nullptr)
    return backward_feed_forward(pass, spec.shared, weights.shared, x, pass.tokens, dout, dx);
  AlignedVector<float> result(pass.count() * width);
  run_feed_forward(spec.shared, weights.shared, x, pass.tokens, result.data(), pass.workspace, nullptr);
  AlignedVector<float> gate = multiply_one(*weights.shared_gate, x, pass.tokens, pass.workspace);
  AlignedVector<float> dresult(dout, dout + pass.count() * width);
  for (Size t = 0; t < pass.count(); ++t) {
    const float s = 1 / (1 + std::exp(-gate[t]));
    for (Size i = 0; i < width; ++i) dresult[t * width + i] *= s;
    gate[t] = s * (1 - s) * ops().dot(&dout[t * width], &result[t * width], width);
  }
  backward_feed_forward(pass, spec.shared, weights.shared, x, pass.tokens, dresult.data(), dx);
  backward_input(gate.data(), pass.count(), pass.matrices.of(spec.shared_gate), 1, width, dx, true,
                 pass.pool());
}

/// The router's probabilities and each token's experts, the best first, as run_moe chooses them.
struct Routes {
  AlignedVector<float> p;    // [tokens, experts]
  std::vector<Size> chosen;  // [tokens, top_k]
};

Routes route(const BackwardPass& pass, const MoeSpec& spec, const MoeWeights& weights, const float* x) {
  const Size experts = spec.experts.size();
  const auto top_k = static_cast<Size>(spec.top_k);
  Routes routes{multiply_one(*weights.router, x, pass.tokens, pass.workspace), {}};
  std::vector<Size> order(experts);
  for (Size t = 0; t < pass.count(); ++t) {
    float* p = &routes.p[t * experts];
    ops().softmax(p, experts);
    for (Size e = 0; e < experts; ++e) order[e] = e;
    std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(top_k), order.end(),
                      [p](Size a, Size b) { return p[a] != p[b] ? p[a] > p[b] : a < b; });
    routes.chosen.insert(routes.chosen.end(), order.begin(),
                         order.begin() + static_cast<std::ptrdiff_t>(top_k));
  }
  return routes;
}

/// Gradients of the router's logits, [tokens, experts], from those of the weights of the chosen experts,
/// [tokens, top_k].
AlignedVector<float> backward_route(const MoeSpec& spec, const Routes& routes, const std::vector<float>& dw) {
  const Size experts = spec.experts.size();
  const auto top_k = static_cast<Size>(spec.top_k);
  AlignedVector<float> dlogits(routes.p.size());
  std::vector<float> dp(experts);
  for (Size t = 0; t < routes.p.size() / experts; ++t) {
    const float* p = &routes.p[t * experts];
    const Size* chosen = &routes.chosen[t * top_k];
    const float* d = &dw[t * top_k];
    float sum = 1;   // of the chosen's p, by which they are divided
    float mean = 0;  // of their gradients, by weight
    if (spec.normalize) {
      sum = 0;
      for (Size i = 0; i < top_k; ++i) sum += p[chosen[i]];
      for (Size i = 0; i < top_k; ++i) mean += d[i] * p[chosen[i]] / sum;
    }
    std::fill(dp.begin(), dp.end(), 0.0F);
    for (Size i = 0; i < top_k; ++i) dp[chosen[i]] = (d[i] - mean) / sum;
    const float dot = ops().dot(p, dp.data(), experts);
    for (Size e = 0; e < experts; ++e) dlogits[t * experts + e] = p[e] * (dp[e] - dot);
  }
  return dlogits;
}

}  // namespace

void backward_moe(const BackwardPass& pass, const MoeSpec& spec, const MoeWeights& weights, const float* x,
                  const float* dout, float* dx) {
  const Size width = static_cast<Size>(spec.router.cols);
  const Size experts = spec.experts.size();
  const auto top_k = static_cast<Size>(spec.top_k);
  if (weights.shared.down != nullptr) {
    backward_shared(pass, spec, weights, x, dout, dx);
  } else {
    std::fill(dx, dx + pass.count() * width, 0.0F);
  }
  const Routes routes = route(pass, spec, weights, x);
  std::vector<float> dweights(routes.chosen.size());
  for (Size e = 0; e < experts; ++e) {
    std::vector<Size> mine;  // places in routes.chosen
    for (Size i = 0; i < routes.chosen.size(); ++i)
      if (routes.chosen[i] == e) mine.push_back(i);
    if (mine.empty()) continue;
    const auto some = static_cast<std::int64_t>(mine.size());
    AlignedVector<float> input(mine.size() * width), result(input.size()), dresult(input.size());
    for (Size i = 0; i < mine.size(); ++i)
      std::memcpy(&input[i * width], x + mine[i] / top_k * width, width * sizeof(float));
    run_feed_forward(spec.experts[e], weights.experts[e], input.data(), some, result.data(), pass.workspace,
                     nullptr);
    for (Size i = 0; i < mine.size(); ++i) {
      const Size t = mine[i] / top_k;
      const float* p = &routes.p[t * experts];
      float sum = 1;
      if (spec.normalize) {
        sum = 0;
        for (Size k = 0; k < top_k; ++k) sum += p[routes.chosen[t * top_k + k]];
      }
      dweights[mine[i]] = ops().dot(dout + t * width, &result[i * width], width);
      for (Size j = 0; j < width; ++j) dresult[i * width + j] = dout[t * width + j] * p[e] / sum;
    }
    AlignedVector<float>& dinput = result;
    backward_feed_forward(pass, spec.experts[e], weights.experts[e], input.data(), some, dresult.data(),
                          dinput.data());
    for (Size i = 0; i < mine.size(); ++i)
      ops().axpy(1.0F, &dinput[i * width], dx + mine[i] / top_k * width, width);
  }
  const AlignedVector<float> dlogits = backward_route(spec, routes, dweights);
  backward_input(dlogits.data(), pass.count(), pass.matrices.of(spec.router), experts, width, dx, true,
                 pass.pool());
}

}  // namespace twofold
