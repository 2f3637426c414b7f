#pragma once

#include <vector>

#include "base/json.h"
#include "eval/lab/suites.h"

namespace twofold {

/// `best` over rates, and the other methods wherever their widths, sparsities or prices put them.
std::vector<LabPoint> rate_points();

/// What `best` has at the size of every other point, log KL being linear in the bits between two of its own:
/// rows of label, bits_per_weight, kl, best_kl, in the order of the points. Points outside of its rates are
/// left out.
Json analyse_rates(const Json& points);

}  // namespace twofold
