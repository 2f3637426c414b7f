#include "compress/backward/layer.h"

#include "compress/backward/attention.h"
#include "compress/backward/feed_forward.h"
#include "compress/backward/norm.h"
#include "kernels/ops.h"

namespace twofold {

namespace {

using Floats = AlignedVector<float>;

Floats normed(const BackwardPass& pass, const NormSpec& spec, const NormWeights& weights, const Floats& x) {
  if (!spec.present()) return x;
  Floats out(x.size());
  apply_norm(spec, weights, x.data(), pass.count(), out.data(), pass.pool());
  return out;
}

void backward(const BackwardPass& pass, const NormSpec& spec, const NormWeights& weights, const Floats& x,
              Floats& gradient) {
  if (!spec.present()) return;
  backward_norm(spec, weights, x.data(), gradient.data(), pass.count(), gradient.data(), pass.pool());
}

void add(const Floats& x, Floats& y) {
  ops().axpy(1.0F, x.data(), y.data(), y.size());
}

}  // namespace

void backward_layer(const BackwardPass& pass, const LayerSpec& layer, const LayerWeights& weights,
                    const float* input, float* gradient) {
  const std::size_t size = pass.count() * static_cast<std::size_t>(pass.model.hidden_size);
  // Forth, as run_layer goes: a, f before their norms; y, z before theirs.
  const Floats x(input, input + size);
  const Floats n = normed(pass, layer.attention_input, weights.attention_input, x);
  LayerCache cache;
  const LayerSlice slice{&cache, 0, pass.tokens};
  Floats a(size);
  run_attention(pass.model, layer.attention, weights.attention, {&slice, 1}, pass.positions, n.data(),
                a.data(), pass.workspace, nullptr);
  Floats y = x;
  if (!layer.parallel) add(normed(pass, layer.attention_output, weights.attention_output, a), y);
  const Floats y_normed = layer.parallel ? x : normed(pass, layer.residual_norm, weights.residual_norm, y);
  const bool own_norm = !layer.parallel || layer.feed_forward_input.present();
  const Floats m =
      own_norm ? normed(pass, layer.feed_forward_input, weights.feed_forward_input, y_normed) : n;
  Floats f(layer.feed_forward_output.present() || layer.final_residual_norm.present() ? size : 0);
  if (!f.empty()) {
    if (weights.moe) {
      run_moe(*layer.moe, *weights.moe, m.data(), pass.tokens, f.data(), pass.workspace, nullptr);
    } else {
      run_feed_forward(layer.feed_forward, weights.feed_forward, m.data(), pass.tokens, f.data(),
                       pass.workspace, nullptr);
    }
  }
  Floats dz(gradient, gradient + size);
  if (layer.final_residual_norm.present()) {
    Floats z = y_normed;
    add(normed(pass, layer.feed_forward_output, weights.feed_forward_output, f), z);
    if (layer.parallel) add(normed(pass, layer.attention_output, weights.attention_output, a), z);
    backward(pass, layer.final_residual_norm, weights.final_residual_norm, z, dz);
  }

  // And back.
  Floats df = dz;
  backward(pass, layer.feed_forward_output, weights.feed_forward_output, f, df);
  Floats dm(size);
  if (weights.moe) {
    backward_moe(pass, *layer.moe, *weights.moe, m.data(), df.data(), dm.data());
  } else {
    backward_feed_forward(pass, layer.feed_forward, weights.feed_forward, m.data(), pass.tokens, df.data(),
                          dm.data());
  }
  if (own_norm) backward(pass, layer.feed_forward_input, weights.feed_forward_input, y_normed, dm);
  Floats dx = dz;
  if (own_norm) add(dm, dx);
  Floats da = dz;
  if (!layer.parallel) {
    backward(pass, layer.residual_norm, weights.residual_norm, y, dx);
    da = dx;
  }
  backward(pass, layer.attention_output, weights.attention_output, a, da);
  Floats dn(size);
  backward_attention(pass, layer.attention, weights.attention, n.data(), da.data(), dn.data());
  if (!own_norm) add(dm, dn);
  backward(pass, layer.attention_input, weights.attention_input, x, dn);
  add(dn, dx);
  std::copy(dx.begin(), dx.end(), gradient);
}

}  // namespace twofold
