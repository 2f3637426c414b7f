#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace twofold {

/// Counts of the 256 values of an INT8 weight, indexed by the value's unsigned byte.
using Histogram = std::array<std::uint64_t, 256>;

/// Adds the counts of `weights` to `histogram`.
void count_values(std::span<const std::int8_t> weights, Histogram& histogram);

/// Order-0 entropy in bits per weight: the bound of a memoryless coder. 0 for an empty histogram.
double order0_entropy(const Histogram& histogram);

}  // namespace twofold
