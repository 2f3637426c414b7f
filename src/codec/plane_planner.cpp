#include "codec/plane_planner.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <numeric>

namespace twofold {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// What a correction is taken to cost before the widths are known: 11 bits of gap and difference, and that
// large differences take several.
constexpr double kCorrectionBits = 12;
constexpr int kUsualDifference = 7;

// Estimated cycles, per group of 64 weights except for a correction.
constexpr double kCorrectionCycles = 5;
constexpr std::array<double, 3> kSubPlaneCycles{2.5, 1.2, 1};  // of 1, 2 and 4 bits
// Of a product with weights of a fixed width of 1 to 8 bits.
constexpr std::array<double, kPlaneRawBits> kPackedCycles{6, 4, 7, 2.5, 6, 5.5, 8, 4.5};
constexpr double kFollowCycles = 4.5;      // a level known from the plane or the level before
constexpr double kCompareCycles = 6;       // level 0 else
constexpr double kCompareAgainCycles = 8;  // another one that must look at codes
constexpr double kLookupCycles = 1;        // of 16 codes
constexpr double kWideLookupCycles = 3;    // of 32
constexpr double kSymbolLookupCycles = 5;  // of more, in two parts

double correction_price(CyclePrice price) {
  return kCorrectionCycles * kGroupColumns * price;
}

double unpack_cycles(int code_bits) {
  double cycles = 0;
  for (std::size_t i = 0; i < kSubPlaneCycles.size(); ++i) {
    if ((code_bits >> i & 1) != 0) cycles += kSubPlaneCycles[i];
  }
  return cycles;
}

double lookup_cycles(std::size_t codes) {
  return codes <= 16 ? kLookupCycles : codes <= 32 ? kWideLookupCycles : kSymbolLookupCycles;
}

/// Corrections that a difference takes when each can do `most`.
int steps(int difference, int most) {
  return (difference + most - 1) / most;
}

/// Counts by value + 128.
std::array<double, 256> by_value(const Histogram& histogram) {
  std::array<double, 256> counts{};
  for (int v = -128; v < 128; ++v) {
    counts[value_index(v)] = static_cast<double>(histogram[static_cast<std::uint8_t>(v)]);
  }
  return counts;
}

double sum(const std::array<double, 256>& counts) {
  return std::accumulate(counts.begin(), counts.end(), 0.0);
}

/// What the plane adds up to for a value and what is missing.
int difference(const PlaneClass& parameters, int weight) {
  int best = 1 << 15;
  for (int symbol = 0; symbol < parameters.symbols; ++symbol) {
    const int first = parameters.base + parameters.values[static_cast<std::size_t>(symbol)];
    const int low = std::clamp(weight - first, 0, (1 << parameters.low_bits) - 1);
    if (std::abs(weight - first - low) < std::abs(best)) best = weight - first - low;
  }
  return best;
}

PlaneClass raw_class() {
  PlaneClass result;
  result.low_bits = kPlaneRawBits;
  return result;
}

/// The best ways to give the most frequent symbols code words, level by level. cost[symbols][nodes] is the
/// price of reaching a level with so many symbols settled and so many code words still open.
class TreeSearch {
 public:
  /// `frequency`: falling. `open_price`: of a symbol without code word. `cycle_price`: in all, of a cycle per
  /// group. Symbols have `low_bits` bits below them.
  TreeSearch(std::span<const double> frequency, std::size_t most_symbols, double open_price,
             double cycle_price, int low_bits)
      : most_symbols_(most_symbols),
        open_price_(open_price),
        cycle_price_(cycle_price),
        low_bits_(low_bits),
        below_(kPlaneMaxSymbols + 1, 0) {
    total_ = std::accumulate(frequency.begin(), frequency.end(), 0.0);
    for (std::size_t i = 0; i < kPlaneMaxSymbols; ++i) {
      below_[i + 1] = below_[i] + (i < frequency.size() ? frequency[i] : 0);
    }
    present_ = std::min(frequency.size(), kPlaneMaxSymbols);
  }

  struct Result {
    double cost = kInfinity;
    int levels = 0;
    std::array<std::uint8_t, kPlaneMaxLevels> leaves{};
    std::size_t symbols = 0;
  };

  Result search(int root_bits) {
    root_bits_ = root_bits;
    Result best;
    const std::size_t roots = std::size_t{1} << root_bits;
    Level level(kStates, State{});
    level[index(0, roots)].cost = 0;
    std::vector<Level> trail;
    for (int j = 0;; ++j) {
      for (std::size_t s = 0; s <= most_symbols_; ++s) {
        for (std::size_t n = 1; s + n <= most_symbols_; ++n) {
          const State& state = level[index(s, n)];
          if (state.cost == kInfinity) continue;
          const double cost = state.cost + (total_ - below_[s + n]) * open_price_ +
                              lookup_cycles((s + n) << low_bits_) * cycle_price_;
          if (cost < best.cost) best = trace(trail, state, cost, s + n);
        }
      }
      if (j == kPlaneMaxLevels) return best;
      trail.push_back(level);
      level = next(level, j);
    }
  }

 private:
  struct State {
    double cost = kInfinity;
    std::uint8_t settled = 0;  // at the level before
    std::uint8_t nodes = 0;
    std::uint8_t leaves = 0;  // settled with the level before
  };
  using Level = std::vector<State>;
  static constexpr std::size_t kSide = kPlaneMaxSymbols + 1;
  static constexpr std::size_t kStates = kSide * kSide;
  static std::size_t index(std::size_t settled, std::size_t nodes) { return settled * kSide + nodes; }

  /// PlaneClass says where a level follows.
  double level_cycles(int j, std::size_t nodes, std::size_t leaves) const {
    const bool half = 2 * leaves == nodes;
    if (j == 0) return half && (low_bits_ + root_bits_) % 2 == 1 ? kFollowCycles : kCompareCycles;
    return half || leaves == 0 ? kFollowCycles : kCompareAgainCycles;
  }

  Level next(const Level& level, int j) const {
    Level result(kStates, State{});
    for (std::size_t s = 0; s <= most_symbols_; ++s) {
      for (std::size_t n = 1; s + n <= most_symbols_; ++n) {
        const State& state = level[index(s, n)];
        if (state.cost == kInfinity) continue;
        for (std::size_t leaves = 0; leaves < n && s + leaves < present_; ++leaves) {
          const std::size_t nodes = 2 * (n - leaves);
          if (s + leaves + nodes > most_symbols_) continue;
          const double survivors = total_ - below_[s + leaves];
          // A group cannot hold more than kPlaneMaxSurvivors of them, and numbers scatter.
          if (survivors > 0.75 * total_) continue;
          const double cost = state.cost + survivors + level_cycles(j, n, leaves) * cycle_price_;
          State& to = result[index(s + leaves, nodes)];
          if (cost < to.cost) {
            to = {cost, static_cast<std::uint8_t>(s), static_cast<std::uint8_t>(n),
                  static_cast<std::uint8_t>(s + leaves)};
          }
        }
      }
    }
    return result;
  }

  Result trace(const std::vector<Level>& trail, State state, double cost, std::size_t symbols) const {
    Result result{.cost = cost, .levels = static_cast<int>(trail.size()), .leaves = {}, .symbols = symbols};
    for (std::size_t j = trail.size(); j-- > 0;) {
      result.leaves[j] = state.leaves;
      state = trail[j][index(state.settled, state.nodes)];
    }
    return result;
  }

  std::size_t most_symbols_;
  double open_price_;
  double cycle_price_;
  int low_bits_;
  int root_bits_ = 0;
  std::vector<double> below_;  // frequencies of the first i symbols
  double total_ = 0;
  std::size_t present_ = 0;
};

/// Values v of the high part (all but the low bits), most frequent first, limited to the 128 consecutive
/// weights that hold most.
std::vector<int> ranked_values(const std::array<double, 256>& counts, int low_bits,
                               std::vector<double>& frequency) {
  const std::size_t values = 256u >> low_bits;
  std::vector<double> sums(values, 0);
  for (std::size_t i = 0; i < counts.size(); ++i) sums[i >> low_bits] += counts[i];
  std::size_t best = 0;
  double most = -1;
  for (std::size_t first = 0; first + values / 2 <= values; ++first) {
    const double inside =
        std::accumulate(sums.begin() + static_cast<std::ptrdiff_t>(first),
                        sums.begin() + static_cast<std::ptrdiff_t>(first + values / 2), 0.0);
    if (inside > most) {
      most = inside;
      best = first;
    }
  }
  std::vector<int> ranked;
  for (std::size_t v = best; v < best + values / 2; ++v) ranked.push_back(static_cast<int>(v));
  std::stable_sort(ranked.begin(), ranked.end(), [&](int a, int b) {
    return sums[static_cast<std::size_t>(a)] > sums[static_cast<std::size_t>(b)];
  });
  frequency.clear();
  for (const int v : ranked) frequency.push_back(sums[static_cast<std::size_t>(v)]);
  return ranked;
}

struct PackedChoice {
  PlaneClass best;
  double cost = 0;  // bits, and cycles at their price
};

PackedChoice find_packed(const Histogram& histogram, CyclePrice price) {
  const std::array<double, 256> counts = by_value(histogram);
  const double n = sum(counts);
  int middle = 0;  // the median: a good window has it
  for (double below = counts[0]; below < n / 2; below += counts[static_cast<std::size_t>(++middle)]) {
  }
  const auto plane_cost = [&](int bits) {
    return n * (bits + kPackedCycles[static_cast<std::size_t>(bits) - 1] * price);
  };
  PackedChoice choice{raw_class(), plane_cost(kPlaneRawBits)};
  for (int bits = 1; bits < kPlaneRawBits; ++bits) {
    const int window = 1 << bits;
    for (int low = std::max(0, middle - window + 1); low <= middle && low + window <= 256; ++low) {
      double corrections = 0;
      for (int v = 0; v < 256; ++v) {
        const int distance = v < low ? low - v : v - (low + window - 1);
        if (distance > 0)
          corrections += counts[static_cast<std::size_t>(v)] * steps(distance, kUsualDifference);
      }
      const double cost = plane_cost(bits) + corrections * (kCorrectionBits + correction_price(price));
      if (cost >= choice.cost) continue;
      choice.cost = cost;
      choice.best = PlaneClass{};
      choice.best.low_bits = bits;
      choice.best.base = low - 128;
    }
  }
  return choice;
}

}  // namespace

PlaneClass plan_packed(const Histogram& histogram, CyclePrice price) {
  return find_packed(histogram, price).best;
}

double packed_cost(const Histogram& histogram, CyclePrice price) {
  return find_packed(histogram, price).cost;
}

PlaneClass plan_tiered(const Histogram& histogram, CyclePrice price) {
  const std::array<double, 256> counts = by_value(histogram);
  const double n = sum(counts);
  PlaneClass best = plan_packed(histogram, price);
  double best_cost = plane_bits(best, histogram) + n * unpack_cycles(best.code_bits()) * price;
  for (int low_bits = 0; low_bits <= 4; ++low_bits) {
    std::vector<double> frequency;
    const std::vector<int> ranked = ranked_values(counts, low_bits, frequency);
    const double outside = n - std::accumulate(frequency.begin(), frequency.end(), 0.0);
    // A symbol left out is mostly one just beyond the coded ones.
    const double open_price = kCorrectionBits + correction_price(price);
    TreeSearch tree(frequency, std::min<std::size_t>(kPlaneMaxSymbols, 128u >> low_bits), open_price,
                    price * n, low_bits);
    for (int root_bits = 1; root_bits <= 5 && low_bits + root_bits < kPlaneRawBits; ++root_bits) {
      const TreeSearch::Result found = tree.search(root_bits);
      const double cost = found.cost +
                          n * (low_bits + root_bits + unpack_cycles(low_bits + root_bits) * price) +
                          outside * 2 * open_price;
      if (cost >= best_cost) continue;
      best_cost = cost;
      best = PlaneClass{};
      best.low_bits = low_bits;
      best.root_bits = root_bits;
      best.levels = found.levels;
      best.leaves = found.leaves;
      best.finish_code();
      const std::size_t used = std::min(found.symbols, ranked.size());
      const int lowest =
          *std::min_element(ranked.begin(), ranked.begin() + static_cast<std::ptrdiff_t>(used));
      best.base = (lowest << low_bits) - 128;
      for (std::size_t i = 0; i < used; ++i) {
        best.values[i] = static_cast<std::uint8_t>((ranked[i] - lowest) << low_bits);
      }
      best.finish_values();
    }
  }
  return best;
}

double plane_bits(const PlaneClass& parameters, const Histogram& histogram) {
  const std::array<double, 256> counts = by_value(histogram);
  double bits = sum(counts) * parameters.code_bits();
  if (parameters.raw()) return bits;
  for (int weight = -128; weight < 128; ++weight) {
    const double count = counts[value_index(weight)];
    if (count == 0) continue;
    const int missing = std::abs(difference(parameters, weight));
    bits += count * steps(missing, kUsualDifference) * kCorrectionBits;
    for (int symbol = 0; parameters.levels > 0 && symbol < parameters.symbols; ++symbol) {
      const int first = parameters.base + parameters.values[static_cast<std::size_t>(symbol)];
      if (weight - first < 0 || weight - first >= 1 << parameters.low_bits) continue;
      for (int j = 0; j < parameters.levels && symbol >= parameters.leaves[static_cast<std::size_t>(j)];
           ++j) {
        bits += count;
      }
      break;
    }
  }
  return bits;
}

void plan_corrections(PlaneTable& table, std::span<const Histogram> histograms, CyclePrice price) {
  std::array<double, 256> distances{};  // below zero and above, by difference + 128, clamped
  double n = 0;
  double corrections = 0;
  for (std::size_t c = 0; c < table.classes.size(); ++c) {
    const std::array<double, 256> counts = by_value(histograms[c]);
    n += sum(counts);
    if (table.classes[c].raw()) continue;
    for (int weight = -128; weight < 128; ++weight) {
      const double count = counts[value_index(weight)];
      if (count == 0) continue;
      const int missing = difference(table.classes[c], weight);
      if (missing == 0) continue;
      corrections += count;
      distances[value_index(std::clamp(missing, -128, 127))] += count;
    }
  }
  double best = kInfinity;
  for (std::size_t format = 0; format < kCorrectionFormats.size(); ++format) {
    const auto [gap_bits, delta_bits] = kCorrectionFormats[format];
    const int high = (1 << (delta_bits - 1)) - 1;
    double entries = 0;
    for (int d = -128; d < 128; ++d) {
      const int step = d < 0 ? high + 1 : high;
      entries += distances[value_index(d)] * steps(std::abs(d), step);
    }
    // Gaps between corrections that fall independently: every further (2^gap_bits - 1) columns take another.
    const double most = (1 << gap_bits) - 1;
    const double none = corrections < n ? std::pow(1 - corrections / n, most) : 0.0;
    if (corrections > 0) entries += std::min(corrections * none / (1 - none), n / most);
    const double bits = entries * (gap_bits + delta_bits + correction_price(price));
    if (bits < best) {
      best = bits;
      table.correction_format = format;
    }
  }
}

}  // namespace twofold
