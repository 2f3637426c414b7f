#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace twofold {

/// Element types of safetensors files. Only F32, F16 and BF16 are weights; the rest are carried along.
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
  kF8E5M2
};

std::string_view dtype_name(DType dtype);  // as safetensors spells it: "BF16"
bool parse_dtype(std::string_view name, DType& dtype);
std::size_t dtype_bytes(DType dtype);  // of one element
bool is_float_weight(DType dtype);     // F32, F16 or BF16

float bf16_to_float(std::uint16_t bits);
std::uint16_t float_to_bf16(float value);  // round to nearest even; NaN stays NaN
float f16_to_float(std::uint16_t bits);
std::uint16_t float_to_f16(float value);  // round to nearest even; too large becomes infinity

/// Converts little-endian F32, F16 or BF16 elements to float. bytes.size() must be out.size() * element size;
/// no alignment is needed. Throws Error for another dtype.
void to_float(DType dtype, std::span<const std::uint8_t> bytes, std::span<float> out);

}  // namespace twofold
