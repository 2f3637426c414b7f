#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace twofold {

/// Memory of the process straight from the system, zero, on page boundaries; it goes back when the object
/// goes. Pages take room from when they are first written.
class Pages {
 public:
  Pages() = default;
  /// Throws Error when the system has no more.
  explicit Pages(std::size_t bytes);
  ~Pages();
  Pages(Pages&& other) noexcept;
  Pages& operator=(Pages&& other) noexcept;

  std::uint8_t* data() const { return data_; }
  std::size_t size() const { return size_; }

 private:
  std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace twofold
