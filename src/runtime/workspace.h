#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/aligned.h"
#include "base/thread_pool.h"

namespace twofold {

class WeightStream;

/// The thread pool of one engine and the scratch memory its workers decode into. Buffers only grow, to the
/// largest chunk and batch seen.
class Workspace {
 public:
  explicit Workspace(int threads, std::span<const int> cpus = {})
      : pool_(threads, cpus), workers_(static_cast<std::size_t>(pool_.size())) {}

  struct Worker {
    AlignedVector<std::int8_t> weights;  // one decoded chunk
    AlignedVector<float> floats;         // one chunk as float, or attention scores
    AlignedVector<std::int32_t> sums;    // integer products of one chunk with a batch
  };

  ThreadPool& pool() { return pool_; }
  Worker& worker(int index) { return workers_[static_cast<std::size_t>(index)]; }

  WeightStream* stream = nullptr;  // where the weights come from that are not in memory; or none such
  double linear_seconds = 0;       // spent in linear layers so far: what `bench` tells from the rest

 private:
  ThreadPool pool_;
  std::vector<Worker> workers_;
};

/// Grows a scratch buffer to at least `size` elements and returns it; the contents are lost.
template <typename T>
T* scratch(AlignedVector<T>& buffer, std::size_t size) {
  if (buffer.size() < size) {
    buffer.clear();
    buffer.resize(size);
  }
  return buffer.data();
}

}  // namespace twofold
