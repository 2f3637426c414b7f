#pragma once

#include <cstdint>
#include <optional>

namespace twofold {

/// Where blocks lie in a buffer that is used round and round: they are taken and given back in the same
/// order, and each is in one piece.
class BlockRing {
 public:
  explicit BlockRing(std::uint64_t size) : size_(size) {}

  /// Offset of a free piece, or nothing when there is none now.
  std::optional<std::uint64_t> take(std::uint64_t bytes);
  /// Gives the oldest piece back, whose end was `end`.
  void give_back(std::uint64_t end);
  void clear();

 private:
  std::uint64_t size_;
  std::uint64_t begin_ = 0;   // of the oldest piece
  std::uint64_t end_ = 0;     // of the newest
  std::uint64_t pieces_ = 0;  // none: begin_ and end_ are 0
};

}  // namespace twofold
