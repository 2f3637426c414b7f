#include "compress/pruner.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/json.h"

namespace twofold {

namespace {

#define TWOFOLD_ENTRY(...) {__VA_ARGS__},
constexpr Pruner kPruners[] = {TWOFOLD_PRUNERS(TWOFOLD_ENTRY)};
#undef TWOFOLD_ENTRY

/// Zeroes the share of weights with the smallest score(i).
template <typename Score>
void zero_share(std::span<float> weights, double sparsity, const Score& score) {
  const auto count = static_cast<std::size_t>(sparsity * static_cast<double>(weights.size()));
  if (count == 0) return;
  std::vector<float> scores(weights.size());
  for (std::size_t i = 0; i < scores.size(); ++i) scores[i] = score(i);
  const auto nth = scores.begin() + static_cast<std::ptrdiff_t>(count);
  std::nth_element(scores.begin(), nth, scores.end());
  const float threshold = *nth;
  std::size_t ties = count - static_cast<std::size_t>(
                                 std::count_if(scores.begin(), nth, [&](float s) { return s < threshold; }));
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const float s = score(i);
    if (s < threshold) weights[i] = 0;
    if (s == threshold && ties > 0) {
      weights[i] = 0;
      --ties;
    }
  }
}

}  // namespace

std::span<const Pruner> pruners() {
  return kPruners;
}

const Pruner& find_pruner(std::string_view name) {
  std::string names;
  for (const Pruner& one : kPruners) {
    if (one.name == name) return one;
    names += names.empty() ? "" : ", ";
    names += one.name;
  }
  fail("expected one of {}, found {}", names, json_quote(name));
}

void zero_smallest(const LinearTask& task, std::span<const float> channel_factor, bool by_row) {
  const std::size_t cols = task.width();
  const auto zero = [&](std::span<float> weights) {
    zero_share(weights, task.recipe.sparsity,
               [&](std::size_t i) { return std::fabs(weights[i]) * channel_factor[i % cols]; });
  };
  if (!by_row) return zero(task.weights);
  task.pool.run(static_cast<std::size_t>(task.rows), [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t r = begin; r < end; ++r) zero(task.weights.subspan(r * cols, cols));
  });
}

void zero_smallest_of_rows(const LinearTask& task, std::span<const float> scores) {
  const std::size_t cols = task.width();
  task.pool.run(static_cast<std::size_t>(task.rows), [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t r = begin; r < end; ++r) {
      zero_share(task.weights.subspan(r * cols, cols), task.recipe.sparsity,
                 [&](std::size_t i) { return scores[r * cols + i]; });
    }
  });
}

}  // namespace twofold
