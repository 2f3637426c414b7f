#include "compress/pruner.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace twofold {

namespace {

#define TWOFOLD_ENTRY(...) {__VA_ARGS__},
constexpr Pruner kPruners[] = {TWOFOLD_PRUNERS(TWOFOLD_ENTRY)};
#undef TWOFOLD_ENTRY

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
  fail("expected one of {}, found \"{}\"", names, name);
}

void zero_smallest(const LinearTask& task, std::span<const float> channel_factor, bool by_row) {
  const std::size_t cols = task.width();
  const auto zero = [&](std::span<float> weights) {
    const auto count = static_cast<std::size_t>(task.recipe.sparsity * static_cast<double>(weights.size()));
    if (count == 0) return;
    const auto score = [&](std::size_t i) { return std::fabs(weights[i]) * channel_factor[i % cols]; };
    std::vector<float> scores(weights.size());
    for (std::size_t i = 0; i < scores.size(); ++i) scores[i] = score(i);
    const auto nth = scores.begin() + static_cast<std::ptrdiff_t>(count);
    std::nth_element(scores.begin(), nth, scores.end());
    const float threshold = *nth;
    std::size_t ties = count - static_cast<std::size_t>(std::count_if(
                                   scores.begin(), nth, [&](float s) { return s < threshold; }));
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const float s = score(i);
      if (s < threshold) weights[i] = 0;
      if (s == threshold && ties > 0) {
        weights[i] = 0;
        --ties;
      }
    }
  };
  if (!by_row) return zero(task.weights);
  task.pool.run(static_cast<std::size_t>(task.rows), [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t r = begin; r < end; ++r) zero(task.weights.subspan(r * cols, cols));
  });
}

}  // namespace twofold
