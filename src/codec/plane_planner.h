#pragma once

#include <span>

#include "codec/plane_table.h"

namespace twofold {

/// Prices of what costs time rather than space, in bits: the planners minimise their sum with the size.
struct PlanePrices {
  double level = 0;       // per weight and level
  double correction = 0;  // per correction, beyond its own bits
};

/// The cheapest fixed width: codes for a window of consecutive values, corrections for the others.
PlaneClass plan_packed(const Histogram& histogram, const PlanePrices& prices);

/// The cheapest prefix code of the kind PlaneClass can describe.
PlaneClass plan_tiered(const Histogram& histogram, const PlanePrices& prices);

/// Estimated size in bits of weights with this histogram, without prices and side data.
double plane_bits(const PlaneClass& parameters, const Histogram& histogram);

/// Chooses the format of the corrections of a table whose classes are planned.
void plan_corrections(PlaneTable& table, std::span<const Histogram> histograms, const PlanePrices& prices);

}  // namespace twofold
