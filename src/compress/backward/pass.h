#pragma once

#include "compress/backward/products.h"
#include "runtime/positions.h"
#include "runtime/workspace.h"

namespace twofold {

/// Sees the gradients of linear layers.
class GradientObserver {
 public:
  virtual ~GradientObserver() = default;
  /// x [tokens, cols] is the linear's input in one sequence, dy [tokens, rows] the gradient of its output:
  /// that of its weights is dy' x. Called at most once for a linear and a sequence.
  virtual void observe(const LinearSpec& linear, const float* x, const float* dy, std::int64_t tokens) = 0;
};

/// What the way back through the parts of a layer shares. One sequence from position 0 at a time: `positions`
/// is prepared for it alone.
struct BackwardPass {
  const ModelSpec& model;
  const LinearMatrices& matrices;  // of the layer's linears, routers too
  const Positions& positions;
  std::int64_t tokens;
  Workspace& workspace;
  GradientObserver* observer = nullptr;

  std::size_t count() const { return static_cast<std::size_t>(tokens); }
  ThreadPool& pool() const { return workspace.pool(); }

  /// Hands the gradient dy [tokens, rows] of the linear's output to the observer, and dx [tokens, cols] (+)=
  /// that of its input x. `tokens` as given: an expert has a part of the sequence.
  void linear(const LinearSpec& spec, const float* x, const float* dy, std::int64_t some, float* dx,
              bool add) const {
    if (observer != nullptr) observer->observe(spec, x, dy, some);
    backward_input(dy, static_cast<std::size_t>(some), matrices.of(spec), static_cast<std::size_t>(spec.rows),
                   static_cast<std::size_t>(spec.cols), dx, add, pool());
  }
};

}  // namespace twofold
