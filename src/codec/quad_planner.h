#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "codec/entropy.h"
#include "codec/quad_code.h"

namespace twofold {

/// The parameters that code weights with this histogram in the fewest bits, as far as tried, when a lane's
/// stream has so many weights.
QuadClass plan_quad_class(const Histogram& histogram, double lane_weights);

/// For each quad by its number: the coded one that stands for it, itself if it has a code word. The
/// difference is made up by corrections.
std::vector<std::uint16_t> quad_stand_ins(const QuadClass& parameters, const std::vector<QuadWord>& words);

/// Where a weight lies when its symbol has to be `symbol`: the nearest value of that symbol, less the base.
inline int nearest_quad_value(const QuadClass& parameters, int weight, int symbol) {
  const int low = symbol << parameters.low_bits;
  const int high = low + (1 << parameters.low_bits) - 1;
  const int value = weight - parameters.base;
  return value < low ? low : value > high ? high : value;
}

/// The symbol of a weight's nearest value.
inline int quad_symbol(const QuadClass& parameters, int weight) {
  const int last = (parameters.symbols << parameters.low_bits) - 1;
  const int value = weight - parameters.base;
  return (value < 0 ? 0 : value > last ? last : value) >> parameters.low_bits;
}

}  // namespace twofold
