#pragma once

#include <cstdint>
#include <limits>
#include <vector>

namespace twofold {

/// A way to keep one tensor, and what it costs.
struct Choice {
  double compute = 0;  // seconds of a token's pass in which its product is taken
  double io = 0;       // seconds of a token's pass in which it comes from storage; 0: it is in memory
  double bytes = 0;    // memory it takes for good
};

/// Tensors that are alike.
struct ChoiceGroup {
  std::int64_t count = 1;
  std::vector<Choice> choices;  // at least one
};

/// How many of each group have each choice: counts[group][choice].
using Assignment = std::vector<std::vector<std::int64_t>>;

struct AssignmentCost {
  double compute = 0;
  double io = 0;
  double bytes = 0;
  /// Reading overlaps with computing: the longer of the two.
  double seconds() const { return compute > io ? compute : io; }
};

AssignmentCost cost_of(const std::vector<ChoiceGroup>& groups, const Assignment& assignment);

struct AssignmentResult {
  Assignment assignment;
  AssignmentCost cost;
  double bound = 0;    // no assignment is better than this: seconds, or bytes for smallest_assignment
  double gap = 0;      // how far the result may be above the best, as a share of it
  bool exact = false;  // proven to be the best
};

inline constexpr std::int64_t kAssignmentNodes = 200'000;

/// The assignment of least max(sum of compute, sum of io) whose bytes are at most `budget`: a multiple-choice
/// knapsack. Lagrangian bound, local search, then branch and bound of at most `nodes` nodes. Throws Error
/// when nothing fits.
AssignmentResult fastest_assignment(const std::vector<ChoiceGroup>& groups,
                                    double budget = std::numeric_limits<double>::infinity(),
                                    std::int64_t nodes = kAssignmentNodes);

/// The assignment of least bytes that takes at most `seconds`. Throws Error when none does.
AssignmentResult smallest_assignment(const std::vector<ChoiceGroup>& groups, double seconds,
                                     std::int64_t nodes = kAssignmentNodes);

}  // namespace twofold
