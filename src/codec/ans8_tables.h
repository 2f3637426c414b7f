#pragma once

#include <array>
#include <cstdint>

#include "codec/ans8_lanes.h"
#include "codec/ans8_model.h"

namespace twofold {

/// The symbol that owns a slot, and the slot's number among the symbol's.
struct Ans8Slot {
  std::uint8_t symbol;
  std::uint8_t number;
};

/// The owner of each slot. `model.kind` is kCoded.
std::array<Ans8Slot, 256> ans8_slots(const Ans8Model& model);

/// The inner loop's form of the model. `model.kind` is kCoded.
Ans8Tables make_ans8_tables(const Ans8Model& model);

}  // namespace twofold
