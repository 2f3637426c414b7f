#include "plan/assignment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <optional>

#include "base/random.h"
#include "expect_error.h"

namespace twofold {
namespace {

using ::testing::HasSubstr;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Calls `visit` with every assignment.
void for_all(const std::vector<ChoiceGroup>& groups,
             const std::function<void(const AssignmentCost&)>& visit) {
  std::function<void(std::size_t, std::int64_t, std::size_t, AssignmentCost)> go =
      [&](std::size_t g, std::int64_t left, std::size_t first, const AssignmentCost& cost) {
        if (g == groups.size()) return visit(cost);
        if (left == 0) return go(g + 1, g + 1 < groups.size() ? groups[g + 1].count : 0, 0, cost);
        for (std::size_t c = first; c < groups[g].choices.size(); ++c) {
          const Choice& choice = groups[g].choices[c];
          go(g, left - 1, c, {cost.compute + choice.compute, cost.io + choice.io, cost.bytes + choice.bytes});
        }
      };
  go(0, groups[0].count, 0, {});
}

double best_seconds(const std::vector<ChoiceGroup>& groups, double budget) {
  double best = kInfinity;
  for_all(groups, [&](const AssignmentCost& cost) {
    if (cost.bytes <= budget * (1 + 1e-12)) best = std::min(best, cost.seconds());
  });
  return best;
}

double least_bytes(const std::vector<ChoiceGroup>& groups, double seconds) {
  double best = kInfinity;
  for_all(groups, [&](const AssignmentCost& cost) {
    if (cost.seconds() <= seconds) best = std::min(best, cost.bytes);
  });
  return best;
}

std::vector<ChoiceGroup> random_groups(Random& random, bool streams) {
  std::vector<ChoiceGroup> groups(1 + random.below(3));
  for (ChoiceGroup& group : groups) {
    group.count = 1 + static_cast<std::int64_t>(random.below(4));
    const std::size_t choices = 1 + random.below(4);
    for (std::size_t c = 0; c < choices; ++c) {
      Choice choice{0.1 + random.uniform(), 0, 100 * random.uniform()};
      group.choices.push_back(choice);
      if (streams) group.choices.push_back({choice.compute, choice.bytes / 40, 0});
    }
  }
  return groups;
}

void expect_consistent(const std::vector<ChoiceGroup>& groups, const AssignmentResult& result) {
  for (std::size_t g = 0; g < groups.size(); ++g) {
    std::int64_t total = 0;
    for (const std::int64_t n : result.assignment[g]) {
      EXPECT_GE(n, 0);
      total += n;
    }
    EXPECT_EQ(total, groups[g].count);
  }
  const AssignmentCost cost = cost_of(groups, result.assignment);
  EXPECT_NEAR(cost.compute, result.cost.compute, 1e-9);
  EXPECT_NEAR(cost.io, result.cost.io, 1e-9);
  EXPECT_NEAR(cost.bytes, result.cost.bytes, 1e-6);
}

TEST(Assignment, FastestIsThatOfBruteForce) {
  Random random(1);
  for (int round = 0; round < 300; ++round) {
    const auto groups = random_groups(random, round % 2 == 1);
    double most = 0;
    for_all(groups, [&](const AssignmentCost& cost) { most = std::max(most, cost.bytes); });
    const double budget = most * random.uniform();
    const double expected = best_seconds(groups, budget);
    if (std::isinf(expected)) {
      EXPECT_THAT(error_of([&] { fastest_assignment(groups, budget); }), HasSubstr("needs at least"));
      continue;
    }
    const AssignmentResult found = fastest_assignment(groups, budget);
    expect_consistent(groups, found);
    EXPECT_TRUE(found.exact);
    EXPECT_NEAR(found.cost.seconds(), expected, 1e-7 * expected) << "round " << round;
    EXPECT_LE(found.cost.bytes, budget * (1 + 1e-8));
    // Without a search the bound still holds, and says how far the result may be from the best.
    const AssignmentResult rough = fastest_assignment(groups, budget, 0);
    expect_consistent(groups, rough);
    EXPECT_LE(rough.bound, expected * (1 + 1e-9));
    EXPECT_GE(rough.cost.seconds(), expected * (1 - 1e-9));
    EXPECT_NEAR(rough.gap, 1 - rough.bound / rough.cost.seconds(), 1e-12);
  }
}

TEST(Assignment, SmallestIsThatOfBruteForce) {
  Random random(2);
  int exact = 0;
  constexpr int kRounds = 100;
  for (int round = 0; round < kRounds; ++round) {
    const auto groups = random_groups(random, round % 2 == 1);
    const double fastest = best_seconds(groups, kInfinity);
    const double limit = fastest * (0.95 + random.uniform());
    if (limit < fastest) {
      EXPECT_THAT(error_of([&] { smallest_assignment(groups, limit); }), HasSubstr("the fastest takes"));
      continue;
    }
    const double expected = least_bytes(groups, limit);
    const AssignmentResult found = smallest_assignment(groups, limit);
    expect_consistent(groups, found);
    EXPECT_LE(found.cost.seconds(), limit);
    EXPECT_GE(found.cost.bytes, expected * (1 - 1e-9));
    EXPECT_LE(found.bound, expected * (1 + 1e-5) + 1e-9);
    EXPECT_LE(found.cost.bytes, expected * 1.0001 + 1e-6) << "round " << round;
    exact += found.exact ? 1 : 0;
  }
  EXPECT_GT(exact, 0);
}

TEST(Assignment, ManyTensorsAreSolvedWithinAThousandth) {
  Random random(3);
  std::vector<ChoiceGroup> groups(12);
  double most = 0;
  for (ChoiceGroup& group : groups) {
    group.count = 32;
    for (int c = 0; c < 5; ++c) {
      const double bytes = 100 - 12 * c + 5 * random.uniform();
      group.choices.push_back({0.5 + 0.2 * c + 0.1 * random.uniform(), 0, bytes});
      group.choices.push_back({group.choices.back().compute, bytes / 60, 0});
    }
    most += 32 * 100;
  }
  for (const double share : {0.05, 0.3, 0.7, 0.9}) {
    const AssignmentResult found = fastest_assignment(groups, share * most, 20000);
    expect_consistent(groups, found);
    EXPECT_LT(found.gap, 1e-3) << share;
  }
}

TEST(Assignment, OfEquallyFastChoicesTheSmallestIsTaken) {
  const std::vector<ChoiceGroup> groups = {{3, {{1, 0, 10}, {1, 0, 5}, {2, 0, 1}}}};
  const AssignmentResult found = fastest_assignment(groups);
  EXPECT_EQ(found.assignment[0], (std::vector<std::int64_t>{0, 3, 0}));
  EXPECT_EQ(smallest_assignment(groups, kInfinity).assignment[0], (std::vector<std::int64_t>{0, 0, 3}));
}

}  // namespace
}  // namespace twofold
