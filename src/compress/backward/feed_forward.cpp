#include "compress/backward/feed_forward.h"

#include <array>

#include "compress/backward/activation.h"

namespace twofold {

void backward_feed_forward(const BackwardPass& pass, const FeedForwardSpec& spec,
                           const FeedForwardWeights& weights, const float* x, std::int64_t tokens,
                           const float* dout, float* dx) {
  using Size = std::size_t;
  const auto n = static_cast<Size>(tokens);
  const auto inner = static_cast<Size>(spec.inner());
  const Size parts = spec.in.size();
  std::array<AlignedVector<float>, 2> outputs;  // of the linears `in`, and then their gradients
  std::array<const Linear*, 2> linears = {};
  std::array<float*, 2> places = {};
  for (Size i = 0; i < parts; ++i) {
    outputs[i].resize(n * static_cast<Size>(spec.in[i].rows));
    linears[i] = weights.in[i].get();
    places[i] = outputs[i].data();
  }
  multiply_group(std::span(linears).first(parts), x, tokens, std::span(places).first(parts), pass.workspace);

  AlignedVector<float> dproduct(n * inner);
  backward_input(dout, n, pass.matrices.of(spec.down), static_cast<Size>(spec.down.rows), inner,
                 dproduct.data(), false, pass.pool());
  AlignedVector<float> product(n * inner);
  const Size gate_stride = static_cast<Size>(spec.in[0].rows);
  pass.pool().run(n, [&](Size begin, Size end, int) {
    for (Size t = begin; t < end; ++t) {
      float* gate = &outputs[0][t * gate_stride];
      float* up = nullptr;
      if (spec.gated) up = parts == 1 ? gate + inner : &outputs[1][t * inner];
      const float* d = &dproduct[t * inner];
      for (Size i = 0; i < inner; ++i) {
        const auto [value, slope] = activation_at(spec.activation, gate[i]);
        const float factor = up == nullptr ? 1.0F : up[i];
        product[t * inner + i] = value * factor;
        gate[i] = d[i] * factor * slope;
        if (up != nullptr) up[i] = d[i] * value;
      }
    }
  });
  if (pass.observer != nullptr) pass.observer->observe(spec.down, product.data(), dout, tokens);
  for (Size i = 0; i < parts; ++i) pass.linear(spec.in[i], x, places[i], tokens, dx, i > 0);
}

}  // namespace twofold
