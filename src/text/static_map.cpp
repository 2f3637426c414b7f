#include "text/static_map.h"

#include <algorithm>
#include <bit>

#include "base/random.h"

namespace twofold {

StaticMap::StaticMap(const std::vector<Entry>& entries) {
  const std::size_t capacity = std::bit_ceil(2 * entries.size() + 1);
  slots_.resize(capacity);
  mask_ = capacity - 1;
  Random random(entries.size());
  while (!fill(entries)) seed_ = random.next();
}

bool StaticMap::fill(const std::vector<Entry>& entries) {
  // At half load the longest probe of linear probing grows with the logarithm of the size (Knuth, vol. 3,
  // section 6.4): honest keys stay far below this.
  constexpr std::size_t kLongestProbe = 512;
  std::ranges::fill(slots_, Entry{kNoKey, 0});
  for (const Entry& entry : entries) {
    std::size_t slot = slot_of(entry.first);
    std::size_t probes = 0;
    for (; slots_[slot].first != kNoKey; slot = (slot + 1) & mask_) {
      if (++probes > kLongestProbe) return false;
    }
    slots_[slot] = entry;
  }
  return true;
}

}  // namespace twofold
