#include "plan/assignment.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <tuple>

#include "base/error.h"

namespace twofold {

namespace {

constexpr double kTolerance = 1e-9;  // relative; costs are sums of measured numbers

/// Relaxing both constraints of `min T: compute <= T, io <= T, bytes <= M` leaves, for any mu in [0, 1] and
/// lambda >= 0, the bound
///   D(mu, lambda) = sum over tensors of min over choices of (mu compute + (1 - mu) io + lambda bytes) -
///   lambda M
/// which is concave in both (Geoffrion 1974), and whose minimisers are candidates.
struct Multipliers {
  double mu = 1;
  double lambda = 0;
};

class Solver {
 public:
  Solver(const std::vector<ChoiceGroup>& groups, double budget, std::int64_t nodes)
      : groups_(groups), budget_(budget), nodes_left_(nodes) {
    keep_undominated();
    check_feasible();
  }

  AssignmentResult run() {
    maximise_bound();
    improve();
    const bool finished = branch_and_bound();
    AssignmentResult result;
    result.assignment = best_;
    result.cost = best_cost_;
    result.bound = finished ? best_cost_.seconds() : std::min(bound_, best_cost_.seconds());
    result.gap = best_cost_.seconds() > 0 ? 1 - result.bound / best_cost_.seconds() : 0;
    result.exact = finished;
    return result;
  }

 private:
  static bool dominates(const Choice& a, const Choice& b) {
    return a.compute <= b.compute && a.io <= b.io && a.bytes <= b.bytes;
  }

  /// Choices worth taking; of equals the first.
  void keep_undominated() {
    for (const ChoiceGroup& group : groups_) {
      std::vector<std::size_t> kept;
      for (std::size_t i = 0; i < group.choices.size(); ++i) {
        bool useful = true;
        for (std::size_t j = 0; j < group.choices.size() && useful; ++j) {
          if (i == j || !dominates(group.choices[j], group.choices[i])) continue;
          useful = dominates(group.choices[i], group.choices[j]) && i < j;
        }
        if (useful) kept.push_back(i);
      }
      for (const std::size_t i : kept) streams_ = streams_ || group.choices[i].io > 0;
      useful_.push_back(std::move(kept));
    }
  }

  void check_feasible() const {
    double least = 0;
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      double smallest = std::numeric_limits<double>::infinity();
      for (const Choice& choice : groups_[g].choices) smallest = std::min(smallest, choice.bytes);
      least += smallest * static_cast<double>(groups_[g].count);
    }
    if (least > budget_ * (1 + kTolerance))
      fail("the model needs at least {:.0f} bytes of memory, {:.0f} are allowed", least, budget_);
  }

  double weighted(const Choice& choice, const Multipliers& at) const {
    return at.mu * choice.compute + (1 - at.mu) * choice.io + at.lambda * choice.bytes;
  }

  /// D, and the bytes of its minimiser, of equal ones the smallest; that becomes the best if it is.
  std::pair<double, double> evaluate(const Multipliers& at) {
    double value = std::isinf(budget_) ? 0 : -at.lambda * budget_;
    AssignmentCost cost;
    Assignment assignment(groups_.size());
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      const auto& choices = groups_[g].choices;
      std::size_t least = useful_[g][0];
      for (const std::size_t i : useful_[g]) {
        const double difference = weighted(choices[i], at) - weighted(choices[least], at);
        if (difference < 0 || (difference == 0 && choices[i].bytes < choices[least].bytes)) least = i;
      }
      const auto count = static_cast<double>(groups_[g].count);
      value += count * weighted(choices[least], at);
      add(cost, choices[least], count);
      assignment[g].assign(choices.size(), 0);
      assignment[g][least] = groups_[g].count;
    }
    if (value > bound_) {
      bound_ = value;
      at_bound_ = at;
    }
    offer(assignment, cost);
    return {value, cost.bytes};
  }

  static void add(AssignmentCost& cost, const Choice& choice, double count) {
    cost.compute += count * choice.compute;
    cost.io += count * choice.io;
    cost.bytes += count * choice.bytes;
  }

  bool fits(const AssignmentCost& cost) const { return cost.bytes <= budget_ * (1 + kTolerance); }

  static auto rank(const AssignmentCost& cost) {
    return std::tuple(cost.seconds(), cost.compute + cost.io, cost.bytes);
  }

  bool better(const AssignmentCost& cost) const {
    return fits(cost) && (best_.empty() || rank(cost) < rank(best_cost_));
  }

  void offer(const Assignment& assignment, const AssignmentCost& cost) {
    if (!better(cost)) return;
    best_ = assignment;
    best_cost_ = cost;
  }

  /// max over lambda of D(mu, .): where the minimiser's bytes pass the budget.
  double best_over_lambda(double mu) {
    auto [value, bytes] = evaluate({mu, 0});
    if (bytes <= budget_) return value;
    double low = 0;
    double high = 1e-15;  // seconds per byte
    for (; high < 1e9; high *= 2) {
      const auto [v, b] = evaluate({mu, high});
      value = std::max(value, v);
      if (b <= budget_) break;
      low = high;
    }
    for (int step = 0; step < 50; ++step) {
      const double middle = (low + high) / 2;
      const auto [v, b] = evaluate({mu, middle});
      value = std::max(value, v);
      (b <= budget_ ? high : low) = middle;
    }
    return value;
  }

  void maximise_bound() {
    double low = 0;
    double high = 1;
    best_over_lambda(1);
    if (!streams_) return;
    best_over_lambda(0);
    for (int step = 0; step < 40; ++step) {
      const double left = low + (high - low) / 3;
      const double right = high - (high - low) / 3;
      if (best_over_lambda(left) < best_over_lambda(right)) {
        low = left;
      } else {
        high = right;
      }
    }
  }

  struct Move {
    std::size_t group, from, to;
    AssignmentCost change;
  };

  std::vector<Move> moves() const {
    std::vector<Move> all;
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      for (const std::size_t from : useful_[g]) {
        if (best_[g][from] == 0) continue;
        for (const std::size_t to : useful_[g]) {
          if (from == to) continue;
          Move move{g, from, to, {}};
          add(move.change, groups_[g].choices[to], 1);
          add(move.change, groups_[g].choices[from], -1);
          all.push_back(move);
        }
      }
    }
    return all;
  }

  void apply(const Move& move) {
    --best_[move.group][move.from];
    ++best_[move.group][move.to];
  }

  static AssignmentCost sum(const AssignmentCost& a, const AssignmentCost& b) {
    return {a.compute + b.compute, a.io + b.io, a.bytes + b.bytes};
  }

  /// Takes one tensor, or two at once, to other choices as long as that helps.
  void improve() {
    if (best_.empty()) take_smallest();
    constexpr int kMaxSteps = 400;
    constexpr std::size_t kMaxPairs = 2000;  // moves of which all pairs are tried
    for (int step = 0; step < kMaxSteps; ++step) {
      const std::vector<Move> all = moves();
      AssignmentCost found = best_cost_;
      const Move* first = nullptr;
      const Move* second = nullptr;
      const auto consider = [&](const AssignmentCost& cost, const Move& a, const Move* b) {
        if (!fits(cost) || !(rank(cost) < rank(found)) || cost.seconds() > found.seconds() * (1 - kTolerance))
          return;
        found = cost;
        first = &a;
        second = b;
      };
      for (const Move& move : all) consider(sum(best_cost_, move.change), move, nullptr);
      for (std::size_t i = 0; first == nullptr && all.size() <= kMaxPairs && i < all.size(); ++i) {
        const AssignmentCost after = sum(best_cost_, all[i].change);
        for (std::size_t j = 0; j < i; ++j) {
          if (all[i].group == all[j].group && all[i].from == all[j].from) continue;  // may be one tensor
          consider(sum(after, all[j].change), all[i], &all[j]);
        }
      }
      if (first == nullptr) return;
      const Move one = *first;
      if (second != nullptr) apply(Move(*second));
      apply(one);
      best_cost_ = cost_of(groups_, best_);
    }
  }

  void take_smallest() {
    best_.resize(groups_.size());
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      const auto& choices = groups_[g].choices;
      const auto least =
          std::min_element(choices.begin(), choices.end(), [](const Choice& a, const Choice& b) {
            return std::tuple(a.bytes, a.compute + a.io) < std::tuple(b.bytes, b.compute + b.io);
          });
      best_[g].assign(choices.size(), 0);
      best_[g][static_cast<std::size_t>(least - choices.begin())] = groups_[g].count;
    }
    best_cost_ = cost_of(groups_, best_);
  }

  /// Depth first over groups, and in each over how many members take each choice, by rising reduced cost.
  /// Returns whether it went through everything.
  bool branch_and_bound() {
    const std::size_t n = groups_.size();
    slack_.resize(n);
    order_ = useful_;
    rest_.assign(n + 1, {});
    for (std::size_t g = n; g-- > 0;) {
      const auto& choices = groups_[g].choices;
      auto& order = order_[g];
      const auto value = [&](std::size_t i) { return weighted(choices[i], at_bound_); };
      std::sort(order.begin(), order.end(),
                [&](std::size_t a, std::size_t b) { return value(a) < value(b); });
      Choice least = choices[order[0]];
      for (const std::size_t i : order) {
        slack_[g].push_back(value(i) - value(order[0]));
        least = {std::min(least.compute, choices[i].compute), std::min(least.io, choices[i].io),
                 std::min(least.bytes, choices[i].bytes)};
      }
      rest_[g] = rest_[g + 1];
      add(rest_[g], least, static_cast<double>(groups_[g].count));
    }
    current_.assign(n, {});
    for (std::size_t g = 0; g < n; ++g) current_[g].assign(groups_[g].choices.size(), 0);
    return visit(0, 0, n > 0 ? groups_[0].count : 0, bound_, {});
  }

  /// `left` members of group g are to be divided among the choices from `place` on.
  bool visit(std::size_t g, std::size_t place, std::int64_t left, double bound, const AssignmentCost& cost) {
    if (nodes_left_-- <= 0) return false;
    if (g == groups_.size()) {
      offer(current_, cost);
      return true;
    }
    const double enough = best_cost_.seconds() * (1 - kTolerance);
    if (bound + slack_[g][place] * static_cast<double>(left) >= enough) return true;
    if (cost.compute + rest_[g + 1].compute >= enough || cost.io + rest_[g + 1].io >= enough ||
        cost.bytes + rest_[g + 1].bytes > budget_ * (1 + kTolerance))
      return true;
    const std::size_t choice = order_[g][place];
    const bool last = place + 1 == order_[g].size();
    for (std::int64_t k = left; k >= (last ? left : 0); --k) {
      AssignmentCost next = cost;
      add(next, groups_[g].choices[choice], static_cast<double>(k));
      current_[g][choice] = k;
      const double next_bound = bound + slack_[g][place] * static_cast<double>(k);
      const bool done =
          k == left ? visit(g + 1, 0, g + 1 < groups_.size() ? groups_[g + 1].count : 0, next_bound, next)
                    : visit(g, place + 1, left - k, next_bound, next);
      current_[g][choice] = 0;
      if (!done) return false;
    }
    return true;
  }

  const std::vector<ChoiceGroup>& groups_;
  double budget_;
  std::int64_t nodes_left_;
  std::vector<std::vector<std::size_t>> useful_;
  bool streams_ = false;
  double bound_ = 0;
  Multipliers at_bound_;
  Assignment best_;
  AssignmentCost best_cost_;
  // Of the search: choices by reduced cost, the least that all later groups cost, what is decided.
  std::vector<std::vector<std::size_t>> order_;
  std::vector<std::vector<double>> slack_;
  std::vector<AssignmentCost> rest_;
  Assignment current_;
};

}  // namespace

AssignmentCost cost_of(const std::vector<ChoiceGroup>& groups, const Assignment& assignment) {
  AssignmentCost cost;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    for (std::size_t i = 0; i < groups[g].choices.size(); ++i) {
      const auto count = static_cast<double>(assignment[g][i]);
      cost.compute += count * groups[g].choices[i].compute;
      cost.io += count * groups[g].choices[i].io;
      cost.bytes += count * groups[g].choices[i].bytes;
    }
  }
  return cost;
}

AssignmentResult fastest_assignment(const std::vector<ChoiceGroup>& groups, double budget,
                                    std::int64_t nodes) {
  return Solver(groups, budget, nodes).run();
}

AssignmentResult smallest_assignment(const std::vector<ChoiceGroup>& groups, double seconds,
                                     std::int64_t nodes) {
  // The least time falls as the budget grows: bisection. A budget whose bound is above `seconds` is too
  // small.
  constexpr int kSteps = 40;
  AssignmentResult best = fastest_assignment(groups, std::numeric_limits<double>::infinity(), nodes);
  if (best.cost.seconds() > seconds) {
    fail("no choice of codecs takes at most {:.3f} ms a token: the fastest takes {:.3f} ms", 1e3 * seconds,
         1e3 * best.cost.seconds());
  }
  double low = 0;
  for (const ChoiceGroup& group : groups) {
    double smallest = std::numeric_limits<double>::infinity();
    for (const Choice& choice : group.choices) smallest = std::min(smallest, choice.bytes);
    low += smallest * static_cast<double>(group.count);
  }
  double bound = low;
  const std::int64_t part = nodes / kSteps + 1;
  for (int step = 0; step <= kSteps && best.cost.bytes > low * (1 + 1e-6); ++step) {
    const double budget = step == 0 ? low : (low + best.cost.bytes) / 2;
    const AssignmentResult found = fastest_assignment(groups, budget, part);
    if (found.cost.seconds() <= seconds) {
      best = found;
    } else {
      low = budget;
      if (found.bound > seconds) bound = std::max(bound, budget);
    }
  }
  best.bound = std::min(bound, best.cost.bytes);
  best.gap = best.cost.bytes > 0 ? 1 - best.bound / best.cost.bytes : 0;
  best.exact = best.gap < 1e-6;
  return best;
}

}  // namespace twofold
