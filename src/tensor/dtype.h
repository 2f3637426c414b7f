#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace twofold {

/// Element types of safetensors and GGUF files. Only F32, F16, BF16 and GGUF's blocks are weights; the rest
/// are carried along.
enum class DType {
  kF64,
  kF32,
  kF16,
  kBF16,
  kI64,
  kI32,
  kI16,
  kI8,
  kU64,
  kU32,
  kU16,
  kU8,
  kBool,
  kF8E4M3,
  kF8E5M2,
  // Blocks of 32 or 256 elements with steps of their own, in GGUF files only: see gguf_blocks.h.
  kQ40,
  kQ41,
  kQ50,
  kQ51,
  kQ80,
  kQ2K,
  kQ3K,
  kQ4K,
  kQ5K,
  kQ6K
};

std::string_view dtype_name(DType dtype);               // as the file's format spells it: "BF16", "Q4_K"
bool parse_dtype(std::string_view name, DType& dtype);  // of a safetensors file
std::size_t dtype_block(DType dtype);  // elements stored together; 1 where there are no blocks
std::size_t dtype_bytes(DType dtype);  // of one element; of one block where there are blocks
bool is_float_weight(DType dtype);     // F32, F16 or BF16

float bf16_to_float(std::uint16_t bits);
std::uint16_t float_to_bf16(float value);  // round to nearest even; NaN stays NaN
float f16_to_float(std::uint16_t bits);
std::uint16_t float_to_f16(float value);  // round to nearest even; too large becomes infinity

/// Converts little-endian F32, F16 or BF16 elements to float. bytes.size() must be out.size() * element size;
/// no alignment is needed. Throws Error for another dtype.
void to_float(DType dtype, std::span<const std::uint8_t> bytes, std::span<float> out);

}  // namespace twofold
