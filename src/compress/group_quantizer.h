#pragma once

#include <cstddef>
#include <span>

#include "codec/entropy.h"

namespace twofold {

/// One row with a step for each group of `group` inputs, the largest |w_j s_j| over 2^(width - 1) - 1; `out`
/// gets the values that the integers stand for, divided by s_j again. `scales` may be empty. Adds the
/// integers to `histogram` where given.
void quantize_row_in_groups(std::span<const float> row, std::span<const float> scales, std::size_t group,
                            int width, std::span<float> out, Histogram* histogram);

}  // namespace twofold
