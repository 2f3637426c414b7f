#include "runtime/block_ring.h"

namespace twofold {

std::optional<std::uint64_t> BlockRing::take(std::uint64_t bytes) {
  std::uint64_t at = end_;
  if (pieces_ > 0 && end_ <= begin_) {  // free: between end and begin
    if (bytes > begin_ - end_) return std::nullopt;
  } else if (bytes > size_ - end_) {  // free: behind end, where it does not fit, and before begin
    if (bytes > begin_) return std::nullopt;
    at = 0;
  }
  end_ = at + bytes;
  ++pieces_;
  return at;
}

void BlockRing::give_back(std::uint64_t end) {
  begin_ = end;
  if (--pieces_ == 0) clear();
}

void BlockRing::clear() {
  begin_ = end_ = pieces_ = 0;
}

}  // namespace twofold
