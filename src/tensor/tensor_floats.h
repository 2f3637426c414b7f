#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tensor/safetensors.h"

namespace twofold {

/// True for a tensor whose elements can be read as floats: F32, F16, BF16 or GGML's blocks.
bool is_weight(const TensorView& tensor);

/// True when the floats are the stored elements and nothing else, so that they can be used in place.
bool stored_plainly(const TensorView& tensor);

/// Elements [begin, begin + out.size()) of a tensor, row-major, as floats. Both numbers must be multiples of
/// the type's block (dtype_block), which whole rows are. Throws Error for another type or range.
void read_floats(const TensorView& tensor, std::uint64_t begin, std::span<float> out);

/// A tensor as safetensors files hold weights, in the order of the model: itself where it is so already, else
/// a copy in `storage`. It keeps its type; blocks become F16, which holds their values to 11 bits, and F32 is
/// taken for one dimension (norms, biases) and for values too large.
TensorView plain_copy(const TensorView& tensor, std::vector<std::uint8_t>& storage);

}  // namespace twofold
