#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace twofold {

/// A position in bytes that inner loops read as long as kStep bytes are left, so that a step of theirs need
/// not look where the bytes end. Then they go on in a copy of the rest with zeros behind it.
template <std::size_t kStep>
class PaddedBytes {
 public:
  explicit PaddedBytes(std::span<const std::uint8_t> bytes) : bytes_(bytes) {
    at_ = bytes.data();
    end_ = at_ + bytes.size();
  }

  const std::uint8_t* at() const { return at_; }
  const std::uint8_t* end() const { return end_; }
  void move_to(const std::uint8_t* at) { at_ = at; }

  /// Call it when fewer than kStep bytes are left. False when that has been done before: then a zero has been
  /// taken.
  bool go_on_in_copy() {
    if (copied_) return false;
    copied_ = true;
    left_ = static_cast<std::size_t>(end_ - at_);
    std::copy_n(at_, left_, copy_.data());
    at_ = copy_.data();
    end_ = at_ + left_ + kStep;
    return true;
  }

  /// Bytes taken; more than there are when zeros have been taken.
  std::size_t taken() const {
    if (!copied_) return static_cast<std::size_t>(at_ - bytes_.data());
    return bytes_.size() - left_ + static_cast<std::size_t>(at_ - copy_.data());
  }

 private:
  std::span<const std::uint8_t> bytes_;
  const std::uint8_t* at_;
  const std::uint8_t* end_;
  bool copied_ = false;
  std::size_t left_ = 0;
  std::array<std::uint8_t, 2 * kStep> copy_{};
};

}  // namespace twofold
