#include "codec/quad_planner.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "codec/plane_table.h"

namespace twofold {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kCorrectionBits = 13;  // about what a correction takes

/// Shares of the weights by value + 128.
using Shares = std::array<double, 256>;

Shares shares_of(const Histogram& histogram) {
  Shares shares{};
  double total = 0;
  for (const std::uint64_t count : histogram) total += static_cast<double>(count);
  for (int v = -128; v < 128; ++v) {
    const auto count = static_cast<double>(histogram[static_cast<std::uint8_t>(v)]);
    shares[value_index(v)] = total > 0 ? count / total : 0;
  }
  return shares;
}

using SymbolShares = std::array<double, kQuadMaxSymbols>;

SymbolShares symbol_shares(const QuadClass& parameters, const Shares& shares) {
  SymbolShares result{};
  for (int v = -128; v < 128; ++v) {
    result[static_cast<std::size_t>(quad_symbol(parameters, v))] += shares[value_index(v)];
  }
  return result;
}

struct Window {
  QuadClass parameters;
  double bits = kInfinity;  // per weight, as if code words had fractions of bits
};

/// The window of symbols * 2^low_bits values whose symbols and outliers take least.
Window best_window(const Shares& shares, int low, int high, int low_bits) {
  Window best;
  QuadClass tried;
  tried.low_bits = low_bits;
  const int buckets = ((high - low) >> low_bits) + 1;
  tried.symbols = std::min(kQuadMaxSymbols, buckets);
  const int width = tried.symbols << low_bits;
  for (int base = std::max(-128, low - (1 << low_bits) + 1); base + width <= 128; ++base) {
    if (base > low && base + width > high + (1 << low_bits)) break;
    tried.base = base;
    double bits = low_bits;
    for (int v = low; v <= high; ++v) {
      if (v < base || v >= base + width) bits += kCorrectionBits * shares[value_index(v)];
    }
    for (const double p : symbol_shares(tried, shares)) bits -= p > 0 ? p * std::log2(p) : 0;
    if (bits < best.bits) best = {tried, bits};
  }
  return best;
}

void set_frequencies(QuadClass& parameters, const SymbolShares& shares) {
  const double most = *std::max_element(shares.begin(), shares.end());
  for (std::size_t s = 0; s < static_cast<std::size_t>(parameters.symbols); ++s) {
    const double scaled = most > 0 ? std::nearbyint(shares[s] / most * kQuadMaxFrequency) : 1;
    parameters.frequency[s] = static_cast<std::uint16_t>(std::max(1.0, scaled));
  }
}

/// How often each pair of true and coded symbol comes up, per weight.
using Changes = std::array<std::array<double, kQuadMaxSymbols>, kQuadMaxSymbols>;

/// Place of a difference of two weights in a table of 511.
std::size_t difference_index(int difference) {
  const int index = difference + 255;
  return static_cast<std::size_t>(index);
}

/// Chooses the format of the corrections; returns their bits per weight.
double plan_quad_corrections(QuadClass& parameters, const Shares& shares, const SymbolShares& symbols,
                             const Changes& changes, double lane_weights) {
  std::array<double, 511> differences{};  // by difference + 255
  double rate = 0;
  for (int v = -128; v < 128; ++v) {
    const double share = shares[value_index(v)];
    if (share == 0) continue;
    const int true_symbol = quad_symbol(parameters, v);
    for (int s = 0; s < parameters.symbols; ++s) {
      const double change = changes[static_cast<std::size_t>(true_symbol)][static_cast<std::size_t>(s)];
      const double part = share * change / symbols[static_cast<std::size_t>(true_symbol)];
      const int difference = v - parameters.base - nearest_quad_value(parameters, v, s);
      if (part <= 0 || difference == 0) continue;
      differences[difference_index(difference)] += part;
      rate += part;
    }
  }
  double best = kInfinity;
  for (int bits = kQuadMinDeltaBits; bits <= kQuadMaxDeltaBits; ++bits) {
    double cost = 0;
    for (int d = -255; d <= 255; ++d) {
      const bool fits = d >= -(1 << (bits - 1)) && d < 1 << (bits - 1);
      cost += differences[difference_index(d)] * (bits + (fits ? 0 : kQuadLongDeltaBits));
    }
    if (cost >= best) continue;
    best = cost;
    parameters.delta_bits = bits;
  }
  double least = kInfinity;
  for (int bits = 1; bits <= kQuadMaxGapBits; ++bits) {
    // Fields per weight when corrections fall independently, each gap of 2^bits - 1 or more taking another,
    // and the last gap of a lane.
    const double most = (1 << bits) - 1;
    const double none = std::pow(1 - std::min(rate, 1.0), most);
    const double fields = rate > 1e-9 ? rate / (1 - none) : 1 / most;
    const double cost = bits * (fields + 0.5 / lane_weights);
    if (cost >= least) continue;
    least = cost;
    parameters.gap_bits = bits;
  }
  return best + least;
}

/// A class whose first quads have code words, priced.
double price(QuadClass& parameters, const RankedQuads& ranked, const Shares& shares,
             const SymbolShares& symbols, double lane_weights) {
  const std::vector<std::uint8_t> lengths = quad_code_lengths(ranked, parameters.quads);
  std::vector<QuadWord> words(ranked.number.size());
  for (std::size_t i = 0; i < lengths.size(); ++i) words[ranked.number[i]] = {0, lengths[i], true};
  const std::vector<std::uint16_t> stand_ins = quad_stand_ins(parameters, words);
  double code_bits = 0;
  Changes changes{};
  const auto m = static_cast<unsigned>(parameters.symbols);
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto from = quad_symbols(static_cast<unsigned>(i), m);
    const double p = symbols[from[0]] * symbols[from[1]] * symbols[from[2]] * symbols[from[3]];
    if (p == 0) continue;
    code_bits += p * words[stand_ins[i]].length;
    const auto to = quad_symbols(stand_ins[i], m);
    for (std::size_t j = 0; j < 4; ++j) changes[from[j]][to[j]] += p / 4;
  }
  return code_bits / 4 + parameters.low_bits +
         plan_quad_corrections(parameters, shares, symbols, changes, lane_weights);
}

}  // namespace

std::vector<std::uint16_t> quad_stand_ins(const QuadClass& parameters, const std::vector<QuadWord>& words) {
  const auto m = static_cast<std::size_t>(parameters.symbols);
  const std::array<std::size_t, 4> place{1, m, m * m, m * m * m};
  const auto& frequency = parameters.frequency;
  const auto mode = static_cast<std::size_t>(
      std::max_element(frequency.begin(), frequency.begin() + parameters.symbols) - frequency.begin());
  std::vector<std::uint16_t> result(words.size());
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::size_t at = i;
    while (!words[at].coded) {
      const auto h = quad_symbols(static_cast<unsigned>(at), static_cast<unsigned>(m));
      // One symbol replaced, if that helps; a correction of a bit more for each doubling of the distance.
      std::size_t best = at;
      int least = std::numeric_limits<int>::max();
      for (std::size_t j = 0; j < 4; ++j) {
        for (std::size_t s = 0; s < m; ++s) {
          const std::size_t other = at + s * place[j] - h[j] * place[j];
          if (!words[other].coded) continue;
          const int cost = words[other].length + 2 * std::abs(static_cast<int>(s) - int{h[j]});
          if (cost >= least) continue;
          least = cost;
          best = other;
        }
      }
      if (best != at) {
        at = best;
        break;
      }
      // Else the rarest one becomes the most frequent one. Four times that is the quad of the highest product
      // and the smallest number, which is coded.
      std::size_t rarest = 4;
      for (std::size_t j = 0; j < 4; ++j) {
        if (h[j] != mode && (rarest == 4 || frequency[h[j]] < frequency[h[rarest]])) rarest = j;
      }
      at = at + mode * place[rarest] - h[rarest] * place[rarest];
    }
    result[i] = static_cast<std::uint16_t>(at);
  }
  return result;
}

QuadClass plan_quad_class(const Histogram& histogram, double lane_weights) {
  const Shares shares = shares_of(histogram);
  int low = 0;
  int high = 0;
  while (low < 255 && shares[static_cast<std::size_t>(low)] == 0) ++low;
  while (high < 255 && shares[static_cast<std::size_t>(255 - high)] == 0) ++high;
  if (low == 255) low = high = 128;  // no weights, or the last value only
  low -= 128;
  high = std::max(low, 127 - high);

  std::vector<Window> windows;
  for (int low_bits = 0; low_bits <= kQuadMaxLowBits; ++low_bits) {
    windows.push_back(best_window(shares, low, high, low_bits));
  }
  const auto by_bits = [](const Window& a, const Window& b) { return a.bits < b.bits; };
  const double least = std::min_element(windows.begin(), windows.end(), by_bits)->bits;
  constexpr double kWorthTrying = 0.2;
  QuadClass best;
  double best_bits = kInfinity;
  for (Window& window : windows) {
    if (window.bits > least + kWorthTrying) continue;
    QuadClass tried = window.parameters;
    const SymbolShares symbols = symbol_shares(tried, shares);
    set_frequencies(tried, symbols);
    const RankedQuads ranked = rank_quads(tried);
    // From many coded quads to few: the price falls, then rises.
    double before = kInfinity;
    for (int quads = tried.quad_count(); quads >= 1; quads -= std::max(1, quads / 4)) {
      tried.quads = quads;
      const double bits = price(tried, ranked, shares, symbols, lane_weights);
      if (bits < best_bits) {
        best_bits = bits;
        best = tried;
      }
      if (bits > before) break;
      before = bits;
    }
  }
  return best;
}

}  // namespace twofold
