#pragma once

// Rows of a class and sums of products. Internal linkage, as each instruction set compiles it for itself.

#include <algorithm>
#include <cstddef>

namespace twofold {
namespace {

/// Groups whose products can be added up in 16 bits, two of them with |x| <= 127 per group and sum.
constexpr std::size_t groups_in_16_bits(int max_value) {
  return static_cast<std::size_t>(32767 / (2 * 127 * std::max(max_value, 1)));
}

/// Which groups come next in the rows of a class.
class RowWalk {
 public:
  RowWalk(std::size_t groups_per_row, std::size_t groups_per_sum)
      : groups_per_row_(groups_per_row), groups_per_sum_(groups_per_sum), left_(groups_per_row) {}

  /// How many of `available` groups one sum takes.
  std::size_t take(std::size_t available) {
    const std::size_t count = std::min({available, groups_per_sum_, left_});
    left_ -= count;
    return count;
  }

  template <typename Sink>
  void after_sum(Sink& sink) {
    sink.end();
    if (left_ > 0) return;
    sink.next_row();
    left_ = groups_per_row_;
  }

 private:
  std::size_t groups_per_row_;
  std::size_t groups_per_sum_;
  std::size_t left_;  // in the row
};

}  // namespace
}  // namespace twofold
