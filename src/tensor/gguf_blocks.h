#pragma once

#include <cstdint>
#include <span>

#include "tensor/dtype.h"

namespace twofold {

/// True for the types of GGML that store elements in blocks: Q4_0 to Q8_0 (32 elements), Q2_K to Q6_K (256).
bool is_gguf_block(DType dtype);

/// Converts whole blocks to float. out.size() must be a multiple of the block and bytes.size() what it takes.
/// No alignment is needed; any bytes have a value, though scales can be infinite or NaN. Throws Error for
/// another dtype or size.
void gguf_blocks_to_float(DType dtype, std::span<const std::uint8_t> bytes, std::span<float> out);

}  // namespace twofold
