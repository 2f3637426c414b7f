#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "codec/ans_lanes.h"
#include "codec/codec.h"

namespace twofold {

/// The decoder of the `ans` codec with a given inner loop. The codec itself takes the one for active_isa().
std::unique_ptr<Decoder> make_ans_decoder(std::span<const std::uint8_t> table, std::int64_t cols,
                                          AnsLanesFunction lanes);

}  // namespace twofold
