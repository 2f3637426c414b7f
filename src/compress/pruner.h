#pragma once

#include <span>
#include <string_view>

#include "compress/linear_task.h"

namespace twofold {

/// A choice of weights to set to zero.
struct Pruner {
  std::string_view name;  // as in recipes
  bool moments;           // needs LinearTask::metric
  bool gradients;         // needs LinearTask::gradient
  /// Zeroes the recipe's sparsity of task.weights, and may change the others to make up for it.
  void (*prune)(const LinearTask& task);
};

#define TWOFOLD_PRUNERS(X)                      \
  X("dc", false, false, prune_dc)               \
  X("magnitude", false, false, prune_magnitude) \
  X("wanda", false, false, prune_wanda)         \
  X("pruner-zero", false, true, prune_zero)     \
  X("sparsegpt", true, false, prune_sparsegpt)

#define TWOFOLD_DECLARE(name, moments, gradients, function) void function(const LinearTask& task);
TWOFOLD_PRUNERS(TWOFOLD_DECLARE)
#undef TWOFOLD_DECLARE

std::span<const Pruner> pruners();
/// Throws Error listing the names there are.
const Pruner& find_pruner(std::string_view name);

/// Zeroes the share of weights with the smallest |w_ij| * channel_factor_j, over the whole matrix or, for
/// `by_row`, of each row. Of equal ones the first go.
void zero_smallest(const LinearTask& task, std::span<const float> channel_factor, bool by_row);

/// Zeroes the recipe's sparsity of each row's weights, those with the smallest of the scores [rows, cols].
void zero_smallest_of_rows(const LinearTask& task, std::span<const float> scores);

}  // namespace twofold
