#include "codec/column_classes.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <numeric>

#include "base/error.h"

namespace twofold {

namespace {

constexpr std::size_t kMaxUnits = 64;  // places to cut at, so that the quadratic search stays cheap

int class_bits(std::size_t classes) {
  return classes < 2 ? 0 : std::bit_width(classes - 1);
}

/// The columns by rising mean |weight|; equal ones keep their order.
std::vector<std::int32_t> sorted_columns(std::span<const std::int8_t> weights, std::int64_t cols) {
  std::vector<std::uint64_t> sums(static_cast<std::size_t>(cols), 0);
  for (std::size_t row = 0; row < weights.size(); row += sums.size()) {
    for (std::size_t c = 0; c < sums.size(); ++c) {
      sums[c] += static_cast<std::uint64_t>(std::abs(int{weights[row + c]}));
    }
  }
  std::vector<std::int32_t> order(sums.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    return sums[static_cast<std::size_t>(a)] < sums[static_cast<std::size_t>(b)];
  });
  return order;
}

/// Position of each column in `order`.
std::vector<std::int32_t> positions(std::span<const std::int32_t> order) {
  std::vector<std::int32_t> position(order.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    position[static_cast<std::size_t>(order[i])] = static_cast<std::int32_t>(i);
  }
  return position;
}

struct Cut {
  double cost = std::numeric_limits<double>::infinity();
  std::size_t from = 0;  // first unit of the last class
};

}  // namespace

ColumnClasses one_class(std::int64_t cols) {
  return {.begin = {0, cols}, .order = {}};
}

ColumnClasses make_column_classes(std::span<const std::int8_t> weights, std::int64_t cols,
                                  std::size_t max_classes, const ClassCost& cost) {
  const auto groups = static_cast<std::size_t>((cols + kGroupColumns - 1) / kGroupColumns);
  if (weights.empty() || groups < 2 || max_classes < 2) return one_class(cols);
  const std::vector<std::int32_t> order = sorted_columns(weights, cols);
  const std::vector<std::int32_t> position = positions(order);

  const std::size_t groups_per_unit = (groups + kMaxUnits - 1) / kMaxUnits;
  const std::size_t columns_per_unit = groups_per_unit * kGroupColumns;
  const std::size_t units = (groups + groups_per_unit - 1) / groups_per_unit;
  std::vector<Histogram> histograms(units, Histogram{});
  const auto width = static_cast<std::size_t>(cols);
  for (std::size_t row = 0; row < weights.size(); row += width) {
    for (std::size_t c = 0; c < width; ++c) {
      ++histograms[static_cast<std::size_t>(position[c]) / columns_per_unit]
                  [static_cast<std::uint8_t>(weights[row + c])];
    }
  }

  // best[k][j]: the cheapest way to make k + 1 classes of the first j units.
  const std::size_t most = std::min({max_classes, kMaxColumnClasses, units});
  std::vector<std::vector<Cut>> best(most, std::vector<Cut>(units + 1));
  for (std::size_t from = 0; from < units; ++from) {
    Histogram sum{};
    for (std::size_t to = from + 1; to <= units; ++to) {
      for (std::size_t v = 0; v < sum.size(); ++v) sum[v] += histograms[to - 1][v];
      const double bits = cost(sum);
      if (from == 0) {
        best[0][to] = {bits, 0};
        continue;
      }
      for (std::size_t k = 1; k < most; ++k) {
        const double total = best[k - 1][from].cost + bits;
        if (total < best[k][to].cost) best[k][to] = {total, from};
      }
    }
  }
  std::size_t chosen = 0;
  const auto with_map = [&](std::size_t k) {
    return best[k][units].cost + static_cast<double>(cols) * class_bits(k + 1);
  };
  for (std::size_t k = 1; k < most; ++k) {
    if (with_map(k) < with_map(chosen)) chosen = k;
  }
  if (chosen == 0) return one_class(cols);

  ColumnClasses classes{.begin = {cols}, .order = order};
  std::size_t end = units;
  for (std::size_t k = chosen + 1; k-- > 0;) {
    end = best[k][end].from;
    classes.begin.push_back(static_cast<std::int64_t>(end * columns_per_unit));
  }
  std::reverse(classes.begin.begin(), classes.begin.end());
  for (std::size_t c = 0; c < classes.size(); ++c) {
    std::sort(classes.order.begin() + classes.begin[c], classes.order.begin() + classes.begin[c + 1]);
  }
  return classes;
}

std::vector<Histogram> class_histograms(std::span<const std::int8_t> weights, std::int64_t cols,
                                        const ColumnClasses& classes) {
  std::vector<std::uint8_t> class_of(static_cast<std::size_t>(cols), 0);
  for (std::size_t c = 0; c < classes.size() && !classes.order.empty(); ++c) {
    for (std::int64_t i = classes.begin[c]; i < classes.begin[c + 1]; ++i) {
      class_of[static_cast<std::size_t>(classes.order[static_cast<std::size_t>(i)])] =
          static_cast<std::uint8_t>(c);
    }
  }
  std::vector<Histogram> histograms(classes.size(), Histogram{});
  for (std::size_t row = 0; row < weights.size(); row += class_of.size()) {
    for (std::size_t c = 0; c < class_of.size(); ++c) {
      ++histograms[class_of[c]][static_cast<std::uint8_t>(weights[row + c])];
    }
  }
  return histograms;
}

void write_column_classes(const ColumnClasses& classes, BitWriter& out) {
  const int bits = class_bits(classes.size());
  if (bits == 0) return;
  std::vector<std::uint8_t> class_of(classes.order.size());
  for (std::size_t c = 0; c < classes.size(); ++c) {
    for (std::int64_t i = classes.begin[c]; i < classes.begin[c + 1]; ++i) {
      class_of[static_cast<std::size_t>(classes.order[static_cast<std::size_t>(i)])] =
          static_cast<std::uint8_t>(c);
    }
  }
  for (const std::uint8_t c : class_of) out.put(c, bits);
}

ColumnClasses read_column_classes(std::int64_t cols, std::size_t classes, BitReader& in) {
  if (classes == 1) return one_class(cols);
  const int bits = class_bits(classes);
  std::vector<std::vector<std::int32_t>> members(classes);
  for (std::int64_t column = 0; column < cols; ++column) {
    const std::uint32_t c = in.get(bits);
    if (!in.ok() || c >= classes) fail("column {}: class {}, expected less than {}", column, c, classes);
    members[c].push_back(static_cast<std::int32_t>(column));
  }
  ColumnClasses result{.begin = {0}, .order = {}};
  result.order.reserve(static_cast<std::size_t>(cols));
  for (std::size_t c = 0; c < classes; ++c) {
    const std::size_t count = members[c].size();
    if (count == 0 || (c + 1 < classes && count % kGroupColumns != 0)) {
      fail("class {} has {} columns, expected a positive multiple of {}", c, count, kGroupColumns);
    }
    result.order.insert(result.order.end(), members[c].begin(), members[c].end());
    result.begin.push_back(static_cast<std::int64_t>(result.order.size()));
  }
  return result;
}

void columns_to_classes(const ColumnClasses& classes, std::span<const std::int8_t> matrix,
                        std::span<std::int8_t> out) {
  if (classes.order.empty()) {
    std::copy(matrix.begin(), matrix.end(), out.begin());
    return;
  }
  const std::size_t cols = classes.order.size();
  for (std::size_t row = 0; row < matrix.size(); row += cols) {
    for (std::size_t i = 0; i < cols; ++i) {
      out[row + i] = matrix[row + static_cast<std::size_t>(classes.order[i])];
    }
  }
}

void columns_from_classes(const ColumnClasses& classes, std::span<const std::int8_t> sorted,
                          std::span<std::int8_t> out) {
  if (classes.order.empty()) {
    std::copy(sorted.begin(), sorted.end(), out.begin());
    return;
  }
  const std::size_t cols = classes.order.size();
  for (std::size_t row = 0; row < sorted.size(); row += cols) {
    for (std::size_t i = 0; i < cols; ++i) {
      out[row + static_cast<std::size_t>(classes.order[i])] = sorted[row + i];
    }
  }
}

}  // namespace twofold
