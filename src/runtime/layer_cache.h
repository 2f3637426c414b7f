#pragma once

#include <cstdint>
#include <vector>

#include "base/aligned.h"

namespace twofold {

/// Keys and values of one layer for one sequence, after rotation: [position, head_dim] for each key head, so
/// that attention reads one stream of memory.
struct LayerCache {
  std::vector<AlignedVector<float>> keys;
  std::vector<AlignedVector<float>> values;
};

/// The tokens of one sequence in a batch: `tokens` new ones, the first at `position`.
struct LayerSlice {
  LayerCache* cache = nullptr;
  std::int64_t position = 0;
  std::int64_t tokens = 0;
};

}  // namespace twofold
