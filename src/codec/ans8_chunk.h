#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "codec/ans8_model.h"
#include "codec/class_order.h"

namespace twofold {

inline constexpr std::size_t kAns8PayloadWords = 64;  // 16-bit words in the lanes' last states
inline constexpr std::size_t kAns8MaxTailUnits = 16;  // bounds the slow serial part

/// The weights of a class in a chunk, in the coded order.
struct Ans8Region {
  std::size_t c;      // class
  std::size_t begin;  // first weight in the coded order
  std::size_t main;   // weights coded by the lanes, a multiple of 64
  std::size_t tail;   // those after them, coded serially
};

/// The classes of a chunk of `count` weights that have more than one value, and where their tail begins when
/// the last `tail` weights of them all are coded serially. Empty when there are fewer than `tail` weights.
std::vector<Ans8Region> ans8_regions(const ClassOrder& order, std::span<const Ans8Model> models,
                                     std::size_t count, std::size_t tail);

/// Appends a chunk: `sorted` has the weights in the coded order.
void encode_ans8_chunk(const ClassOrder& order, std::span<const Ans8Model> models,
                       std::span<const std::int8_t> sorted, std::vector<std::uint8_t>& out);

}  // namespace twofold
