// The table of a class of the `ans8` codec:
//
//   0 bytes: no weights.
//   1 byte:  v; all weights are v (int8).
//   else:    low, high   smallest and largest weight, int8, low < high
//            k           raw bits of a bucket, 0-3
//            zone        first value of the zone of single values, int8
//            zone size   values of the zone; 0 stands for 256 when k = 0
//            below       buckets below the zone, each of 2^k values; 0 when k = 0
//            above       buckets above it
//            bits        frequency of each cell in rising order, 0-255, as ans_frequencies.h says; zero bits
//                        up to a whole byte
//
// When the frequencies sum to less than 256, what is missing is the frequency of the escape. There are at
// most 32 symbols, the escape included.

#include "codec/ans8_model.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "codec/ans_frequencies.h"
#include "codec/bit_stream.h"

namespace twofold {

namespace {

constexpr std::size_t kHeaderBytes = 7;

/// How the values are cut into cells.
struct Layout {
  int raw_bits = 0;
  int zone = 0;
  int zone_size = 0;
  int below = 0;
  int above = 0;

  int bucket() const { return 1 << raw_bits; }
  int cells() const { return below + zone_size + above; }
  int cell_size(int cell) const { return cell >= below && cell < below + zone_size ? 1 : bucket(); }
  int cell_first(int cell) const {
    if (cell < below) return zone - (below - cell) * bucket();
    if (cell < below + zone_size) return zone + cell - below;
    return zone + zone_size + (cell - below - zone_size) * bucket();
  }
  int first() const { return cell_first(0); }
  int end() const { return zone + zone_size + above * bucket(); }
};

std::uint8_t byte_of(int value) {
  return static_cast<std::uint8_t>(value);
}

/// Fills what follows from the stored fields. False when they do not fit together.
bool complete(Ans8Model& model) {
  const Layout layout{model.raw_bits, model.zone, model.zone_size, model.below, model.above};
  if (layout.first() < -128 || layout.end() > 128) return false;
  const auto frequency = [&](int cell) { return int{model.frequency[static_cast<std::size_t>(cell)]}; };
  std::vector<int> cells;  // with a frequency, by falling frequency
  for (int cell = 0; cell < layout.cells(); ++cell) {
    if (frequency(cell) > 0) cells.push_back(cell);
  }
  std::stable_sort(cells.begin(), cells.end(), [&](int a, int b) { return frequency(a) > frequency(b); });
  int sum = 0;
  for (const int cell : cells) {
    const int f = frequency(cell);
    const int first = layout.cell_first(cell);
    const int size = layout.cell_size(cell);
    const bool raw = model.raw_bits > 0 && size > 1;
    for (int i = 0; i < size; ++i) {
      model.codes[byte_of(first + i)] = {static_cast<std::uint8_t>(model.symbols.size()), byte_of(i), 0};
    }
    model.symbols.push_back({byte_of(f), byte_of(sum), static_cast<std::int8_t>(first), raw});
    sum += f;
    if (sum > kAns8Total || model.symbols.size() > kAns8Symbols) return false;
  }
  if (sum == 0) return false;
  if (sum == kAns8Total) return true;
  for (int value = model.low; value <= model.high; ++value) {
    Ans8Model::Code& code = model.codes[byte_of(value)];
    if (code.symbol != 0xff) continue;
    code = {static_cast<std::uint8_t>(model.symbols.size()), 0, static_cast<std::uint8_t>(model.rare.size())};
    model.rare.push_back(static_cast<std::int8_t>(value));
  }
  if (model.rare.empty() || model.symbols.size() == kAns8Symbols) return false;
  model.escape = static_cast<int>(model.symbols.size());
  model.symbols.push_back({byte_of(kAns8Total - sum), byte_of(sum), model.rare.front(), model.all_raw()});
  return true;
}

/// The cheapest model with these cells in which cells of a share below threshold / 256 are rare, or kEmpty.
Ans8Model make_candidate(const std::array<double, 256>& counts, const Layout& layout, int low, int high,
                         double threshold) {
  struct Cell {
    int index;
    double count;
  };
  std::vector<Cell> common;
  double total = 0;
  for (double count : counts) total += count;
  for (int cell = 0; cell < layout.cells(); ++cell) {
    double count = 0;
    for (int i = 0; i < layout.cell_size(cell); ++i) {
      const int index = layout.cell_first(cell) + i + 128;
      count += counts[static_cast<std::size_t>(index)];
    }
    if (count > 0 && count * kAns8Total >= threshold * total) common.push_back({cell, count});
  }
  std::stable_sort(common.begin(), common.end(),
                   [](const Cell& a, const Cell& b) { return a.count > b.count; });
  const auto rest = [&] {
    double count = total;
    for (const Cell& cell : common) count -= cell.count;
    return count;
  };
  if (common.size() > kAns8Symbols) common.resize(kAns8Symbols - 1);
  if (common.size() == kAns8Symbols && rest() > 0.5) common.pop_back();
  const double rare = rest();
  std::vector<double> common_counts;
  common_counts.reserve(common.size() + 1);
  for (const Cell& cell : common) common_counts.push_back(cell.count);
  if (rare > 0.5) common_counts.push_back(rare);
  if (common.empty() || common_counts.size() < 2) return {};
  const std::vector<int> frequency = optimal_frequencies(common_counts, kAns8Total);

  // Cells without a symbol at both ends are not stored.
  std::vector<std::uint8_t> by_cell(static_cast<std::size_t>(layout.cells()), 0);
  for (std::size_t i = 0; i < common.size(); ++i) {
    by_cell[static_cast<std::size_t>(common[i].index)] = byte_of(frequency[i]);
  }
  Layout kept = layout;
  const auto drop_front = [&] { by_cell.erase(by_cell.begin()); };
  while (kept.below > 0 && by_cell.front() == 0) drop_front(), --kept.below;
  while (kept.above > 0 && by_cell.back() == 0) by_cell.pop_back(), --kept.above;
  if (kept.raw_bits == 0) {
    while (by_cell.front() == 0) drop_front(), ++kept.zone, --kept.zone_size;
    while (by_cell.back() == 0) by_cell.pop_back(), --kept.zone_size;
  }
  Ans8Model model;
  model.kind = Ans8Model::Kind::kCoded;
  model.low = low;
  model.high = high;
  model.raw_bits = kept.raw_bits;
  model.zone = kept.zone;
  model.zone_size = kept.zone_size;
  model.below = kept.below;
  model.above = kept.above;
  model.frequency = std::move(by_cell);
  if (!complete(model)) return {};
  return model;
}

/// Buckets of 2^raw_bits on both sides of the zone as far as low and high reach and INT8 allows.
Layout make_layout(int raw_bits, int zone, int zone_size, int low, int high) {
  Layout layout{raw_bits, zone, zone_size, 0, 0};
  while (layout.first() > low && layout.first() - layout.bucket() >= -128) ++layout.below;
  while (layout.end() <= high && layout.end() + layout.bucket() <= 128) ++layout.above;
  return layout;
}

}  // namespace

double ans8_cost(const Ans8Model& model, const Histogram& histogram) {
  double bits = 8.0 * static_cast<double>(write_ans8_model(model).size());
  if (model.kind != Ans8Model::Kind::kCoded) return bits;
  for (std::size_t v = 0; v < 256; ++v) {
    if (histogram[v] == 0) continue;
    const Ans8Model::Code& code = model.codes[v];
    const Ans8Symbol& symbol = model.symbols[code.symbol];
    double weight = kAns8Bits - std::log2(static_cast<double>(symbol.frequency));
    if (symbol.raw) weight += model.raw_bits;
    if (code.symbol == model.escape) weight += std::log2(static_cast<double>(model.rare.size()));
    bits += weight * static_cast<double>(histogram[v]);
  }
  return bits;
}

Ans8Model make_ans8_model(const Histogram& histogram) {
  std::array<double, 256> counts{};  // by value + 128
  int present = 0;
  Ans8Model best;
  for (int value = -128; value < 128; ++value) {
    const std::uint64_t count = histogram[byte_of(value)];
    const int index = value + 128;
    counts[static_cast<std::size_t>(index)] = static_cast<double>(count);
    if (count == 0) continue;
    if (present++ == 0) best.low = value;
    best.high = value;
  }
  if (present == 0) return best;
  if (present == 1) {
    best.kind = Ans8Model::Kind::kOneValue;
    return best;
  }
  const int low = best.low;
  const int high = best.high;
  double best_cost = std::numeric_limits<double>::infinity();
  // `handicap`: what the model must save to be taken in spite of its slower decoding. Rare weights are slow
  // as well, so each counts a bit more than it takes.
  const auto consider = [&](const Layout& layout, double handicap) {
    for (const double threshold : {0.0, 0.25, 0.5, 0.75, 1.0, 1.5}) {
      Ans8Model model = make_candidate(counts, layout, low, high, threshold);
      if (model.kind != Ans8Model::Kind::kCoded) continue;
      double rare = 0;
      for (const std::int8_t value : model.rare) rare += static_cast<double>(histogram[byte_of(value)]);
      const double bits = ans8_cost(model, histogram) * handicap + rare;
      if (bits < best_cost) {
        best_cost = bits;
        best = std::move(model);
      }
    }
  };
  consider({.raw_bits = 0, .zone = low, .zone_size = high - low + 1, .below = 0, .above = 0}, 1);
  for (int k = 1; k <= kAns8MaxRawBits; ++k) {
    for (int zone = 0; zone < 1 << k; ++zone) consider(make_layout(k, zone, 0, low, high), 1);
  }
  for (int k = 1; k <= kAns8MaxRawBits; ++k) {
    for (int half = 0; half <= 14; ++half) {
      consider(make_layout(k, -half, 2 * half + 1, low, high), 1.004);
    }
  }
  return best;
}

std::vector<std::uint8_t> write_ans8_model(const Ans8Model& model) {
  if (model.kind == Ans8Model::Kind::kEmpty) return {};
  if (model.kind == Ans8Model::Kind::kOneValue) return {byte_of(model.low)};
  std::vector<std::uint8_t> out{byte_of(model.low),  byte_of(model.high),      byte_of(model.raw_bits),
                                byte_of(model.zone), byte_of(model.zone_size), byte_of(model.below),
                                byte_of(model.above)};
  BitWriter bits(out);
  FrequencyWriter frequencies(bits);
  for (const std::uint8_t f : model.frequency) frequencies.put(f);
  return out;
}

Ans8Model read_ans8_model(std::span<const std::uint8_t> table) {
  Ans8Model model;
  if (table.empty()) return model;
  const auto value = [&](std::size_t i) { return int{static_cast<std::int8_t>(table[i])}; };
  if (table.size() == 1) {
    model.kind = Ans8Model::Kind::kOneValue;
    model.low = model.high = value(0);
    return model;
  }
  if (table.size() <= kHeaderBytes) {
    fail("ans8 table: {} bytes, expected 0, 1 or more than {}", table.size(), kHeaderBytes);
  }
  model.kind = Ans8Model::Kind::kCoded;
  model.low = value(0);
  model.high = value(1);
  model.raw_bits = table[2];
  model.zone = value(3);
  model.zone_size = table[4] == 0 && model.raw_bits == 0 ? 256 : table[4];
  model.below = table[5];
  model.above = table[6];
  if (model.low >= model.high) fail("ans8 table: smallest weight {}, largest {}", model.low, model.high);
  if (model.raw_bits > kAns8MaxRawBits) {
    fail("ans8 table: {} raw bits, expected at most {}", model.raw_bits, kAns8MaxRawBits);
  }
  if (model.raw_bits == 0 && model.below + model.above > 0) fail("ans8 table: buckets without raw bits");
  BitReader bits(table.subspan(kHeaderBytes));
  FrequencyReader frequencies(bits, kAns8Bits);
  for (int cell = model.below + model.zone_size + model.above; cell > 0; --cell) {
    model.frequency.push_back(byte_of(static_cast<int>(frequencies.get())));
  }
  const std::size_t used = bits.finish();
  if (!bits.ok() || used != table.size() - kHeaderBytes) {
    fail("ans8 table: {} bytes do not end with the frequencies", table.size());
  }
  if (!complete(model)) fail("ans8 table: cells, frequencies and range do not fit together");
  return model;
}

}  // namespace twofold
