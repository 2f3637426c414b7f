#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "codec/ans8_lanes.h"
#include "codec/codec.h"

namespace twofold {

/// The decoder of the `ans8` codec with a given inner loop. The codec itself takes the one for active_isa().
std::unique_ptr<Decoder> make_ans8_decoder(std::span<const std::uint8_t> table, std::int64_t cols,
                                           Ans8LanesFunction lanes);

}  // namespace twofold
