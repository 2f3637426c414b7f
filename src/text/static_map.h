#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace twofold {

/// An immutable hash table from 64-bit keys to 64-bit values. Keys are unique and not kNoKey. It is rebuilt
/// with another hash while any key lies far from its place, so that the keys of a hostile file cannot make
/// look-ups slow.
class StaticMap {
 public:
  using Entry = std::pair<std::uint64_t, std::uint64_t>;
  static constexpr std::uint64_t kNoKey = ~std::uint64_t{0};

  explicit StaticMap(const std::vector<Entry>& entries);

  /// nullptr when the key is not there.
  const std::uint64_t* find(std::uint64_t key) const {
    for (std::size_t slot = slot_of(key);; slot = (slot + 1) & mask_) {
      const Entry& entry = slots_[slot];
      if (entry.first == key) return &entry.second;
      if (entry.first == kNoKey) return nullptr;
    }
  }

 private:
  std::size_t slot_of(std::uint64_t key) const {
    std::uint64_t hash = (key ^ seed_) * 0x9e3779b97f4a7c15ULL;
    hash ^= hash >> 32;
    return static_cast<std::size_t>((hash * 0xbf58476d1ce4e5b9ULL) >> 32) & mask_;
  }
  bool fill(const std::vector<Entry>& entries);

  std::vector<Entry> slots_;
  std::size_t mask_ = 0;
  std::uint64_t seed_ = 0;
};

}  // namespace twofold
