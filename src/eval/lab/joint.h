#pragma once

#include <functional>
#include <vector>

#include "base/json.h"
#include "eval/lab/suites.h"

namespace twofold {

/// Theoretical compression rate of weights with `width` bits of which the share `sparsity` is zero, against
/// 16 bits: 1 - width / 16 * (1 - sparsity) (Laborde et al., arXiv 2505.07289).
double compression_rate(double width, double sparsity);

/// The sparsity that makes the rate `tcr` at a width; below 0 where the width alone exceeds it.
double sparsity_for(double tcr, double width);

/// Pruning then quantization: SparseGPT and GPTQ with a step per row.
LabPoint joint_point(int width, double sparsity);

/// Pruning alone (as INT8, counted as 16 bits), widths alone, and pairs at the rates of joint_rates().
std::vector<LabPoint> joint_points();
std::vector<double> joint_rates();  // 0.75, 0.8125, 0.875, those of the paper

/// What the suite is about, from its measured points: rates, semantic retention Sr, SrCr, its argmax on the
/// two single curves, pairs beside single methods at equal rate, the Pareto front. Sr is the mean over tasks
/// of (score - chance) / (score of the original - chance), or without tasks the ratio of perplexities,
/// original to compressed.
Json analyse_joint(const Json& points, const Json& reference);

/// Finds the width whose pair at `tcr` diverges least from the original, by Fibonacci search (the golden
/// section on whole numbers) over the widths that allow the rate: `measure` gives the KL divergence of one.
/// Where it falls and then rises with the width, which is what makes the search right, it asks for fewer than
/// all widths.
struct JointSearch {
  int width = 0;
  double sparsity = 0;
  double kl = 0;
  std::vector<int> measured;  // widths, in order
  int candidates = 0;         // widths there are
};
JointSearch search_joint(double tcr, const std::function<double(int width, double sparsity)>& measure);

}  // namespace twofold
