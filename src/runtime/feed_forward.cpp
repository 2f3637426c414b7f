#include "runtime/feed_forward.h"

#include <array>
#include <cstring>

#include "kernels/activation.h"
#include "kernels/ops.h"

namespace twofold {

namespace {

using Size = std::size_t;

void activate(Activation activation, float* x, Size n) {
  switch (activation) {
    case Activation::kSilu:
      return silu(x, n);
    case Activation::kRelu:
      return relu(x, n);
    case Activation::kGelu:
      return gelu(x, n);
    case Activation::kGeluTanh:
      return gelu_tanh(x, n);
  }
}

/// gate = act(gate) * up.
void activate_gated(Activation activation, float* gate, const float* up, Size n) {
  if (activation == Activation::kSilu) return ops().swiglu(gate, up, n);
  activate(activation, gate, n);
  for (Size i = 0; i < n; ++i) gate[i] *= up[i];
}

}  // namespace

void run_feed_forward(const FeedForwardSpec& spec, const FeedForwardWeights& weights, const float* x,
                      std::int64_t tokens, float* out, Workspace& workspace, InputObserver* observer) {
  const auto n = static_cast<Size>(tokens);
  const auto inner = static_cast<Size>(spec.inner());
  const Size parts = spec.in.size();
  AlignedVector<float> buffers[2];
  std::array<const LinearSpec*, 2> specs = {};
  std::array<const Linear*, 2> linears = {};
  std::array<float*, 2> outputs = {};
  for (Size i = 0; i < parts; ++i) {
    buffers[i].resize(n * static_cast<Size>(spec.in[i].rows));
    specs[i] = &spec.in[i];
    outputs[i] = buffers[i].data();
  }
  if (observer != nullptr) observer->observe(std::span(specs).first(parts), x, tokens);
  for (Size i = 0; i < parts; ++i) linears[i] = weights.in[i].get();
  multiply_group(std::span(linears).first(parts), x, tokens, std::span(outputs).first(parts), workspace);

  ThreadPool& pool = workspace.pool();
  float* product = outputs[0];
  if (spec.gated && parts == 1) {  // rows are gate and up side by side; the product is packed
    buffers[1].resize(n * inner);
    product = buffers[1].data();
    pool.run(n, [&](Size begin, Size end, int) {
      for (Size t = begin; t < end; ++t) {
        const float* row = outputs[0] + t * 2 * inner;
        std::memcpy(product + t * inner, row, inner * sizeof(float));
        activate_gated(spec.activation, product + t * inner, row + inner, inner);
      }
    });
  } else {
    constexpr Size kBlock = 2048;  // elements, so that one token's are shared too
    const Size total = n * inner;
    pool.run((total + kBlock - 1) / kBlock, [&](Size begin, Size end, int) {
      const Size first = begin * kBlock;
      const Size count = std::min(total, end * kBlock) - first;
      if (spec.gated) {
        activate_gated(spec.activation, product + first, outputs[1] + first, count);
      } else {
        activate(spec.activation, product + first, count);
      }
    });
  }
  if (observer != nullptr) observer->observe(std::array{&spec.down}, product, tokens);
  multiply_group(std::array<const Linear*, 1>{weights.down.get()}, product, tokens, std::array{out},
                 workspace);
}

}  // namespace twofold
