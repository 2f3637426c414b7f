#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/random.h"

namespace twofold {

/// n elements that end with their heap block, so that AddressSanitizer sees any access beyond, and begin
/// `offset` elements after an aligned address.
template <typename T>
class Exact {
 public:
  explicit Exact(std::size_t n, std::size_t offset = 0) : offset_(offset), storage_(offset + n) {}
  std::size_t size() const { return storage_.size() - offset_; }
  T* data() { return storage_.data() + offset_; }
  const T* data() const { return storage_.data() + offset_; }
  T& operator[](std::size_t i) { return data()[i]; }
  const T& operator[](std::size_t i) const { return data()[i]; }
  std::vector<T> values() const { return {data(), data() + size()}; }

 private:
  std::size_t offset_;
  std::vector<T> storage_;
};

/// Uniform in [-magnitude, magnitude].
inline Exact<float> random_floats(std::size_t n, Random& random, float magnitude = 1.0F,
                                  std::size_t offset = 0) {
  Exact<float> x(n, offset);
  for (std::size_t i = 0; i < n; ++i) x[i] = static_cast<float>(2 * random.uniform() - 1) * magnitude;
  return x;
}

/// Uniform in [-magnitude, magnitude].
inline Exact<std::int8_t> random_bytes(std::size_t n, Random& random, int magnitude = 127,
                                       std::size_t offset = 0) {
  Exact<std::int8_t> x(n, offset);
  for (std::size_t i = 0; i < n; ++i) {
    x[i] = static_cast<std::int8_t>(
        static_cast<int>(random.below(2U * static_cast<unsigned>(magnitude) + 1)) - magnitude);
  }
  return x;
}

}  // namespace twofold
