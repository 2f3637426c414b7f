#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "model/model_spec.h"
#include "runtime/layer_cache.h"

namespace twofold {

/// Cosines and sines of a rotary embedding.
class RopeTable {
 public:
  /// `frequencies` in radians per token. Positions before `first` are never asked for.
  explicit RopeTable(std::vector<float> frequencies, float magnitude = 1, std::int64_t first = 0)
      : frequencies_(std::move(frequencies)), magnitude_(magnitude), first_(first) {}

  /// Makes positions [first, end) available.
  void reserve(std::int64_t end);
  std::size_t half() const { return frequencies_.size(); }
  const float* cosines(std::int64_t position) const { return &cosines_[offset(position)]; }
  const float* sines(std::int64_t position) const { return &sines_[offset(position)]; }

 private:
  std::size_t offset(std::int64_t position) const {
    return static_cast<std::size_t>(position - first_) * frequencies_.size();
  }

  std::vector<float> frequencies_;
  float magnitude_;
  std::int64_t first_;
  std::vector<float> cosines_;  // [position, half]
  std::vector<float> sines_;
};

/// What attention needs to know of where tokens stand, made before a pass for all its layers.
class Positions {
 public:
  explicit Positions(const ModelSpec& spec);

  void prepare(std::span<const LayerSlice> slices);
  /// The table of ModelSpec::ropes[kind] for a slice of the pass.
  const RopeTable& rope(std::size_t kind, std::size_t slice) const { return *kinds_[kind].of_slice[slice]; }
  /// Linear biases by key position, [heads, alibi_stride()], before the scale of attention; nullptr when the
  /// model has none.
  const float* alibi() const { return alibi_.empty() ? nullptr : alibi_.data(); }
  std::size_t alibi_stride() const { return alibi_stride_; }

 private:
  struct Kind {
    RopeSpec spec;
    RopeTable table;                         // for texts up to original_positions, or of any length
    std::deque<RopeTable> longer;            // for what is beyond
    std::vector<const RopeTable*> of_slice;  // of the pass
  };

  void prepare_rope(Kind& kind, std::span<const LayerSlice> slices);
  void reserve_alibi(std::size_t positions);

  std::vector<Kind> kinds_;
  std::size_t alibi_heads_ = 0;
  std::vector<float> alibi_;
  std::size_t alibi_stride_ = 0;
};

}  // namespace twofold
