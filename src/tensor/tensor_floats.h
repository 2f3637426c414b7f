#pragma once

#include <cstdint>
#include <span>

#include "tensor/safetensors.h"

namespace twofold {

/// True for a tensor whose elements can be read as floats: F32, F16, BF16 or GGML's blocks.
bool is_weight(const TensorView& tensor);

/// True when the floats are the stored elements and nothing else, so that they can be used in place.
bool stored_plainly(const TensorView& tensor);

/// Elements [begin, begin + out.size()) of a tensor, row-major, as floats. Both numbers must be multiples of
/// the type's block (dtype_block), which whole rows are. Throws Error for another type or range.
void read_floats(const TensorView& tensor, std::uint64_t begin, std::span<float> out);

}  // namespace twofold
