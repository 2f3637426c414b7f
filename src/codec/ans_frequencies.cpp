#include "codec/ans_frequencies.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"

namespace twofold {

// The cost is convex in every frequency, so moving one unit at a time to where it saves most ends in the
// optimum.
std::vector<int> optimal_frequencies(const std::vector<double>& counts, int total) {
  const std::size_t n = counts.size();
  const double all = std::accumulate(counts.begin(), counts.end(), 0.0);
  std::vector<int> frequency(n);
  std::vector<double> gain(n), loss(n);  // bits saved by one unit more, lost by one unit less
  const auto update = [&](std::size_t i) {
    const double f = frequency[i];
    gain[i] = counts[i] * std::log2((f + 1) / f);
    loss[i] = f > 1 ? counts[i] * std::log2(f / (f - 1)) : std::numeric_limits<double>::infinity();
  };
  int sum = 0;
  for (std::size_t i = 0; i < n; ++i) {
    frequency[i] = std::max(1, static_cast<int>(counts[i] / all * total));
    sum += frequency[i];
    update(i);
  }
  const auto move = [&](std::size_t i, int units) {
    frequency[i] += units;
    sum += units;
    update(i);
  };
  const auto best_gain = [&] {
    return static_cast<std::size_t>(std::max_element(gain.begin(), gain.end()) - gain.begin());
  };
  const auto least_loss = [&] {
    return static_cast<std::size_t>(std::min_element(loss.begin(), loss.end()) - loss.begin());
  };
  while (sum < total) move(best_gain(), 1);
  while (sum > total) move(least_loss(), -1);
  for (;;) {
    const std::size_t to = best_gain();
    const std::size_t from = least_loss();
    if (to == from || !(gain[to] > loss[from])) break;
    move(to, 1);
    move(from, -1);
  }
  return frequency;
}

void FrequencyWriter::put(std::uint32_t frequency) {
  const int c = std::bit_width(frequency);
  if (c == previous_) {
    bits_.put(0, 1);
  } else if (c == previous_ + 1 || c == previous_ - 1) {
    bits_.put(c > previous_ ? 0b001 : 0b101, 3);
  } else {
    bits_.put(0b11, 2);
    bits_.put(static_cast<std::uint32_t>(c), 4);
  }
  if (c > 1) bits_.put(frequency, c - 1);
  previous_ = c;
}

std::uint32_t FrequencyReader::get() {
  int c = previous_;
  if (bits_.get(1) != 0) {
    if (bits_.get(1) != 0) {
      c = static_cast<int>(bits_.get(4));
    } else {
      c += bits_.get(1) != 0 ? -1 : 1;
    }
  }
  if (!bits_.ok() || c < 0 || c > max_class_) fail("ans table: broken frequency");
  previous_ = c;
  return c == 0 ? 0 : 1u << (c - 1) | bits_.get(c - 1);
}

}  // namespace twofold
