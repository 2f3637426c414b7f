#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "model/model_spec.h"
#include "runtime/linear.h"

namespace twofold {

/// Keys and values of one layer for one sequence, after rotation: [position, head_dim] for each key head, so
/// that attention reads one stream of memory.
struct LayerCache {
  std::vector<AlignedVector<float>> keys;
  std::vector<AlignedVector<float>> values;
};

/// Cosines and sines of the rotary embedding (Su et al. 2021): angle(p, i) = p * theta^(-2i / head_dim).
class RopeTable {
 public:
  RopeTable(std::int64_t head_dim, float theta);
  /// Makes positions [0, count) available.
  void reserve(std::int64_t count);
  const float* cosines(std::int64_t position) const {
    return &cosines_[static_cast<std::size_t>(position * half_)];
  }
  const float* sines(std::int64_t position) const {
    return &sines_[static_cast<std::size_t>(position * half_)];
  }
  std::int64_t half() const { return half_; }

 private:
  std::int64_t half_;
  std::vector<float> frequencies_;
  std::vector<float> cosines_;  // [position, half]
  std::vector<float> sines_;
};

struct LayerWeights {
  std::vector<float> input_norm;           // hidden
  std::vector<float> post_attention_norm;  // hidden
  std::unique_ptr<Linear> q, k, v, o, gate, up, down;
};

/// The tokens of one sequence in a batch: `tokens` new ones, the first at `position`.
struct LayerSlice {
  LayerCache* cache = nullptr;
  std::int64_t position = 0;
  std::int64_t tokens = 0;
};

/// Sees what enters the linear layers, for calibration.
class InputObserver {
 public:
  virtual ~InputObserver() = default;
  /// x [tokens, cols] is the input of every linear in the list.
  virtual void observe(std::span<const LinearSpec* const> linears, const float* x, std::int64_t tokens) = 0;
};

/// Applies one decoder layer in place to hidden [sum of tokens, hidden_size], slices one after the other,
/// and appends to their caches. `rope` must hold every position used.
void run_layer(const ModelSpec& spec, const LayerSpec& layer, const LayerWeights& weights,
               std::span<const LayerSlice> slices, const RopeTable& rope, float* hidden, Workspace& workspace,
               InputObserver* observer = nullptr);

}  // namespace twofold
