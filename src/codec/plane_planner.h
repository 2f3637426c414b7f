#pragma once

#include <span>

#include "codec/plane_table.h"

namespace twofold {

/// What time is worth: the planners minimise size plus cycles times this, where the cycles, estimated for
/// AVX2, are those that a group of 64 weights takes. In bits per weight.
using CyclePrice = double;

/// The cheapest fixed width: codes for a window of consecutive values, corrections for the others.
PlaneClass plan_packed(const Histogram& histogram, CyclePrice price);
/// What that costs, in bits, with the cycles of products at their price.
double packed_cost(const Histogram& histogram, CyclePrice price);

/// The cheapest prefix code of the kind PlaneClass can describe.
PlaneClass plan_tiered(const Histogram& histogram, CyclePrice price);

/// Estimated size in bits of weights with this histogram, without prices and side data.
double plane_bits(const PlaneClass& parameters, const Histogram& histogram);

/// Chooses the format of the corrections of a table whose classes are planned.
void plan_corrections(PlaneTable& table, std::span<const Histogram> histograms, CyclePrice price);

}  // namespace twofold
