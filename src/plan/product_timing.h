#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/aligned.h"
#include "format/container.h"
#include "runtime/linear.h"

namespace twofold {

class ThreadPool;

/// Wall-clock seconds that `function` takes.
double time_seconds(const std::function<void()>& function);

/// The lower quartile of times: whatever else the machine does only ever makes them longer.
double lower_quartile(std::vector<double> values);

/// Chunks of a matrix of so many columns, coded.
struct CodedTile {
  const Codec* codec = nullptr;
  std::int64_t cols = 0;
  std::int64_t rows_per_chunk = 0;
  std::vector<std::uint8_t> table;
  std::vector<std::vector<std::uint8_t>> chunks;
  std::uint64_t weights = 0;
  std::uint64_t bytes = 0;  // with padding

  double bits_per_weight() const { return 8 * static_cast<double>(bytes) / static_cast<double>(weights); }
};

/// Codes `weights`, whole chunks of `rows_per_chunk` rows.
CodedTile code_tile(const Codec& codec, std::span<const std::int8_t> weights, std::int64_t cols,
                    std::int64_t rows_per_chunk, ThreadPool& pool);

/// Memory in small pages, as that of a mapped file, which one set of matrices after the other uses.
class Arena {
 public:
  Arena() = default;
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// The first bytes; what was there is lost. Throws std::bad_alloc.
  std::span<std::uint8_t> take(std::size_t bytes);

 private:
  void release();
  std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Times products of matrices of about `call_weights` weights each made of a tile's chunks: as many of them
/// one after the other in memory as take `total_bytes`, so that none is in the caches.
class ProductTimer {
 public:
  ProductTimer(const CodedTile& tile, std::int64_t call_weights, std::uint64_t total_bytes, Arena& arena);

  std::int64_t cols() const { return tensors_[0].cols; }
  double weights_per_call() const {
    return static_cast<double>(tensors_[0].rows) * static_cast<double>(tensors_[0].cols);
  }
  /// Seconds of a product.
  double call_seconds(Workspace& workspace, int repetitions);
  /// Seconds of putting an input into the form that products take.
  double prepare_seconds(Workspace& workspace, int repetitions);

 private:
  std::int64_t per_matrix_;  // chunks
  std::size_t count_;        // matrices
  std::span<std::uint8_t> memory_;
  std::size_t next_ = 0;  // matrix to multiply with
  std::vector<CodedTensor> tensors_;
  std::vector<std::unique_ptr<Linear>> linears_;
  AlignedVector<float> x_, y_;
};

}  // namespace twofold
