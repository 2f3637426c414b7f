// The table of the `ans` codec, one per tensor:
//
//   0 bytes: a tensor without weights.
//   1 byte:  v; all weights are v (int8).
//   else:    low, high    smallest and largest weight, int8, low < high
//            first, last  range of the weights that have a frequency, int8, low <= first <= last <= high
//            bits         for each value of first..last its frequency, 0-4095; zero bits up to a whole byte
//
// The bits of a frequency are described in ans_frequencies.h.
//
// When the frequencies sum to less than 4096, what is missing is the frequency of the escape symbol: the
// smallest value of low..high without a frequency. It stands for all values of low..high without one.

#include "codec/ans_model.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "codec/ans_frequencies.h"
#include "codec/bit_stream.h"

namespace twofold {

namespace {

/// Fills what follows from low, high and the frequencies without the escape's.
void complete(AnsModel& model) {
  std::uint32_t sum = 0;
  for (std::uint16_t f : model.frequency) sum += f;
  if (sum < kAnsTotal) {
    for (int s = model.low; s <= model.high; ++s) {
      if (model.frequency[static_cast<std::size_t>(s)] > 0) continue;
      model.rare_index[static_cast<std::size_t>(s)] = static_cast<std::uint8_t>(model.rare.size());
      model.rare.push_back(static_cast<std::uint8_t>(s));
    }
    model.escape = model.rare.front();
    model.frequency[model.rare.front()] = static_cast<std::uint16_t>(kAnsTotal - sum);
  }
  std::uint32_t start = 0;
  for (std::size_t s = 0; s < 256; ++s) {
    model.start[s] = static_cast<std::uint16_t>(start);
    start += model.frequency[s];
  }
}

/// Bits of all weights and the table.
double cost(const AnsModel& model, const std::array<double, 256>& counts) {
  double bits = 8.0 * static_cast<double>(write_ans_model(model).size());
  for (std::size_t s = 0; s < 256; ++s) {
    if (counts[s] == 0) continue;
    const bool rare = model.frequency[s] == 0 || static_cast<int>(s) == model.escape;
    const std::size_t code = rare ? static_cast<std::size_t>(model.escape) : s;
    bits += counts[s] * (kAnsBits - std::log2(static_cast<double>(model.frequency[code])));
    if (rare) bits += counts[s] * std::log2(static_cast<double>(model.rare.size()));
  }
  return bits;
}

/// The model in which values with fewer than `threshold` / 4096 of all weights are rare.
AnsModel make_candidate(const std::array<double, 256>& counts, double threshold) {
  const double total = std::accumulate(counts.begin(), counts.end(), 0.0);
  AnsModel model;
  model.kind = AnsModel::Kind::kCoded;
  std::vector<std::size_t> common;
  std::vector<double> common_counts;
  double rare_count = 0;
  std::size_t rare = 0;
  for (std::size_t s = 0; s < 256; ++s) {
    if (counts[s] == 0) continue;
    if (common.empty() && rare == 0) model.low = static_cast<int>(s);
    model.high = static_cast<int>(s);
    if (counts[s] * kAnsTotal < threshold * total) {
      ++rare;
      rare_count += counts[s];
    } else {
      common.push_back(s);
      common_counts.push_back(counts[s]);
    }
  }
  if (rare > 0) common_counts.push_back(rare_count);
  const std::vector<int> frequency = optimal_frequencies(common_counts, kAnsTotal);
  for (std::size_t i = 0; i < common.size(); ++i) {
    model.frequency[common[i]] = static_cast<std::uint16_t>(frequency[i]);
  }
  complete(model);
  return model;
}

}  // namespace

AnsModel make_ans_model(const Histogram& histogram) {
  std::array<double, 256> counts{};
  int present = 0;
  AnsModel best;
  for (std::size_t s = 0; s < 256; ++s) {
    counts[s] = static_cast<double>(histogram[static_cast<std::uint8_t>(ans_weight(s))]);
    if (counts[s] == 0) continue;
    ++present;
    best.low = best.high = static_cast<int>(s);
  }
  if (present == 0) return best;
  if (present == 1) {
    best.kind = AnsModel::Kind::kOneValue;
    return best;
  }
  // The threshold 0 has no escapes. One step below 1 and above it is enough to find the optimum within
  // 0.01 %, and no tensor has all values below 4 / 4096 (there are 256).
  double best_cost = std::numeric_limits<double>::infinity();
  for (double threshold : {0.0, 0.125, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0}) {
    AnsModel model = make_candidate(counts, threshold);
    const double bits = cost(model, counts);
    if (bits < best_cost) {
      best_cost = bits;
      best = std::move(model);
    }
  }
  return best;
}

std::vector<std::uint8_t> write_ans_model(const AnsModel& model) {
  if (model.kind == AnsModel::Kind::kEmpty) return {};
  const auto byte = [](int symbol) {
    return static_cast<std::uint8_t>(ans_weight(static_cast<std::size_t>(symbol)));
  };
  if (model.kind == AnsModel::Kind::kOneValue) return {byte(model.low)};
  const auto stored = [&](int s) {
    return s == model.escape ? 0u : static_cast<std::uint32_t>(model.frequency[static_cast<std::size_t>(s)]);
  };
  int first = model.low;
  int last = model.high;
  while (stored(first) == 0) ++first;
  while (stored(last) == 0) --last;
  std::vector<std::uint8_t> out{byte(model.low), byte(model.high), byte(first), byte(last)};
  BitWriter bits(out);
  FrequencyWriter frequencies(bits);
  for (int s = first; s <= last; ++s) frequencies.put(stored(s));
  return out;
}

AnsModel read_ans_model(std::span<const std::uint8_t> table) {
  AnsModel model;
  if (table.empty()) return model;
  const auto symbol = [&](std::size_t i) { return int{ans_symbol(static_cast<std::int8_t>(table[i]))}; };
  if (table.size() == 1) {
    model.kind = AnsModel::Kind::kOneValue;
    model.low = model.high = symbol(0);
    return model;
  }
  if (table.size() < 5) fail("ans table: {} bytes, expected 0, 1 or at least 5", table.size());
  model.kind = AnsModel::Kind::kCoded;
  model.low = symbol(0);
  model.high = symbol(1);
  const int first = symbol(2);
  const int last = symbol(3);
  if (model.low >= model.high || first < model.low || last < first || model.high < last) {
    fail("ans table: ranges {}..{} and {}..{} do not nest", model.low - 128, model.high - 128, first - 128,
         last - 128);
  }
  BitReader bits(table.subspan(4));
  FrequencyReader frequencies(bits, kAnsBits);
  std::uint32_t sum = 0;
  int coded = 0;
  for (int s = first; s <= last; ++s) {
    const std::uint32_t f = frequencies.get();
    model.frequency[static_cast<std::size_t>(s)] = static_cast<std::uint16_t>(f);
    sum += f;
    coded += f > 0;
  }
  const std::size_t used = bits.finish();
  if (!bits.ok() || used != table.size() - 4)
    fail("ans table: {} bytes do not end with the frequencies", table.size());
  if (sum == 0 || sum > kAnsTotal) fail("ans table: frequencies sum to {}, expected 1 to {}", sum, kAnsTotal);
  if (sum < kAnsTotal && coded == model.high - model.low + 1) {
    fail("ans table: frequencies sum to {} and no value is left for the escape", sum);
  }
  complete(model);
  return model;
}

}  // namespace twofold
