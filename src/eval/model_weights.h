#pragma once

#include <filesystem>

#include "codec/codec_bench.h"

namespace twofold {

/// The INT8 matrices of a model's linear layers, one in memory at a time, for measuring codecs on real
/// weights: what a Twofold directory stores; of an original, one step per tensor.
BenchSource int8_weights(const std::filesystem::path& directory);

}  // namespace twofold
