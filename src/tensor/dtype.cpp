#include "tensor/dtype.h"

#include <array>
#include <bit>
#include <cstring>

#include "base/error.h"

namespace twofold {

static_assert(std::endian::native == std::endian::little, "model files are read in place");

namespace {

struct DTypeInfo {
  DType dtype;
  std::string_view name;
  std::size_t bytes;
  std::size_t block = 1;
};

// In the order of the enumeration.
constexpr std::array<DTypeInfo, 25> kDTypes{{
    {DType::kF64, "F64", 8},         {DType::kF32, "F32", 4},         {DType::kF16, "F16", 2},
    {DType::kBF16, "BF16", 2},       {DType::kI64, "I64", 8},         {DType::kI32, "I32", 4},
    {DType::kI16, "I16", 2},         {DType::kI8, "I8", 1},           {DType::kU64, "U64", 8},
    {DType::kU32, "U32", 4},         {DType::kU16, "U16", 2},         {DType::kU8, "U8", 1},
    {DType::kBool, "BOOL", 1},       {DType::kF8E4M3, "F8_E4M3", 1},  {DType::kF8E5M2, "F8_E5M2", 1},
    {DType::kQ40, "Q4_0", 18, 32},   {DType::kQ41, "Q4_1", 20, 32},   {DType::kQ50, "Q5_0", 22, 32},
    {DType::kQ51, "Q5_1", 24, 32},   {DType::kQ80, "Q8_0", 34, 32},   {DType::kQ2K, "Q2_K", 84, 256},
    {DType::kQ3K, "Q3_K", 110, 256}, {DType::kQ4K, "Q4_K", 144, 256}, {DType::kQ5K, "Q5_K", 176, 256},
    {DType::kQ6K, "Q6_K", 210, 256},
}};

const DTypeInfo& info(DType dtype) {
  return kDTypes[static_cast<std::size_t>(dtype)];
}

constexpr std::uint32_t kFloatInfinity = 0x7f800000;  // IEEE 754 binary32

inline float bf16_value(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

/// Without branches, so that the loop in `to_float` vectorises. Subnormals go through a subtraction of
/// normal numbers, which is exact and does not depend on the processor's denormals-are-zero mode.
inline float f16_value(std::uint16_t bits) {
  constexpr std::uint32_t kRebias = (127 - 15) << 23;
  constexpr std::uint32_t kExponent = 0x1f << 23;  // of binary16, moved to its place in binary32
  constexpr float kSmallestNormal = 0x1p-14F;      // of binary16
  const std::uint32_t magnitude = static_cast<std::uint32_t>(bits & 0x7fff) << 13;
  const std::uint32_t exponent = magnitude & kExponent;
  const std::uint32_t normal = magnitude + kRebias + (exponent == kExponent ? kRebias : 0);
  const float subnormal = std::bit_cast<float>(magnitude + kRebias + (1U << 23)) - kSmallestNormal;
  const std::uint32_t value = exponent == 0 ? std::bit_cast<std::uint32_t>(subnormal) : normal;
  return std::bit_cast<float>(value | static_cast<std::uint32_t>(bits & 0x8000) << 16);
}

template <float Convert(std::uint16_t)>
void convert_halves(std::span<const std::uint8_t> bytes, std::span<float> out) {
  const std::uint8_t* in = bytes.data();
  for (std::size_t i = 0; i < out.size(); ++i) {
    std::uint16_t bits;
    std::memcpy(&bits, in + 2 * i, sizeof bits);
    out[i] = Convert(bits);
  }
}

}  // namespace

std::string_view dtype_name(DType dtype) {
  return info(dtype).name;
}

bool parse_dtype(std::string_view name, DType& dtype) {
  for (const DTypeInfo& entry : kDTypes) {
    if (entry.name != name || entry.block != 1) continue;
    dtype = entry.dtype;
    return true;
  }
  return false;
}

std::size_t dtype_block(DType dtype) {
  return info(dtype).block;
}

std::size_t dtype_bytes(DType dtype) {
  return info(dtype).bytes;
}

bool is_float_weight(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16;
}

float bf16_to_float(std::uint16_t bits) {
  return bf16_value(bits);
}

std::uint16_t float_to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  // Rounding could carry a NaN's payload into infinity; setting the quiet bit keeps it a NaN.
  if ((bits & 0x7fffffff) > kFloatInfinity) return static_cast<std::uint16_t>(bits >> 16 | 0x0040);
  return static_cast<std::uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float f16_to_float(std::uint16_t bits) {
  return f16_value(bits);
}

std::uint16_t float_to_f16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000);
  const std::uint32_t magnitude = bits & 0x7fffffff;
  std::uint32_t half;
  if (magnitude > kFloatInfinity) {
    half = 0x7e00 | (magnitude >> 13 & 0x03ff);
  } else if (magnitude >= std::bit_cast<std::uint32_t>(65520.0F)) {  // midway from the largest to 2^16
    half = 0x7c00;
  } else if (magnitude >= std::bit_cast<std::uint32_t>(0x1p-14F)) {
    half = ((magnitude + 0x0fff + (magnitude >> 13 & 1)) >> 13) - ((127 - 15) << 10);
  } else {
    // The last bit of numbers in [0.5, 1) is worth 2^-24, the unit of binary16 subnormals: the addition
    // rounds to it.
    const float rounded = std::bit_cast<float>(magnitude) + 0.5F;
    half = std::bit_cast<std::uint32_t>(rounded) - std::bit_cast<std::uint32_t>(0.5F);
  }
  return static_cast<std::uint16_t>(sign | half);
}

void to_float(DType dtype, std::span<const std::uint8_t> bytes, std::span<float> out) {
  if (!is_float_weight(dtype))
    fail("cannot convert {} to float: expected F32, F16 or BF16", dtype_name(dtype));
  if (bytes.size() / dtype_bytes(dtype) != out.size() || bytes.size() % dtype_bytes(dtype) != 0) {
    fail("cannot convert {} bytes of {} to {} floats", bytes.size(), dtype_name(dtype), out.size());
  }
  if (out.empty()) return;
  if (dtype == DType::kF32) {
    std::memcpy(out.data(), bytes.data(), bytes.size());
  } else if (dtype == DType::kF16) {
    convert_halves<f16_value>(bytes, out);
  } else {
    convert_halves<bf16_value>(bytes, out);
  }
}

}  // namespace twofold
