#pragma once

#include <cstddef>
#include <new>
#include <vector>

namespace twofold {

inline constexpr std::size_t kAlignment = 64;  // bytes: one cache line, one AVX-512 register

constexpr std::size_t align_up(std::size_t value, std::size_t alignment = kAlignment) {
  return (value + alignment - 1) / alignment * alignment;
}

/// Allocates on cache-line boundaries and leaves trivially constructible elements uninitialised on
/// `resize`, because the buffers it serves are overwritten at once.
template <typename T>
struct AlignedAllocator {
  using value_type = T;  // NOLINT(readability-identifier-naming): the standard's name
  AlignedAllocator() = default;
  template <typename U>
  explicit AlignedAllocator(const AlignedAllocator<U>&) {}
  T* allocate(std::size_t n) {
    if (n > static_cast<std::size_t>(-1) / 2 / sizeof(T)) throw std::bad_array_new_length();
    return static_cast<T*>(::operator new (n * sizeof(T), std::align_val_t{kAlignment}));
  }
  void deallocate(T* p, std::size_t) { ::operator delete (p, std::align_val_t{kAlignment}); }
  template <typename U>
  void construct(U* p) {
    ::new (static_cast<void*>(p)) U;
  }
  template <typename U, typename... Args>
  void construct(U* p, Args&&... args) {
    ::new (static_cast<void*>(p)) U(static_cast<Args&&>(args)...);
  }
  bool operator==(const AlignedAllocator&) const { return true; }
};

template <typename T>
using AlignedVector = std::vector<T, AlignedAllocator<T>>;

}  // namespace twofold
