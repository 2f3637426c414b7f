#include "tensor/dtype.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "base/error.h"

namespace twofold {
namespace {

/// IEEE 754 by its definition: sign, biased exponent, fraction.
double value_of(unsigned bits, int exponent_bits, int fraction_bits) {
  const double sign = bits >> (exponent_bits + fraction_bits) & 1 ? -1.0 : 1.0;
  const int exponent = static_cast<int>(bits >> fraction_bits & ((1U << exponent_bits) - 1));
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const double fraction = bits & ((1U << fraction_bits) - 1);
  if (exponent == (1 << exponent_bits) - 1) {
    return fraction == 0 ? sign * std::numeric_limits<double>::infinity() : std::nan("");
  }
  const double significand = fraction + (exponent == 0 ? 0.0 : std::ldexp(1.0, fraction_bits));
  return sign * std::ldexp(significand, std::max(exponent, 1) - bias - fraction_bits);
}

void expect_same(float found, double expected, unsigned bits) {
  if (std::isnan(expected)) {
    EXPECT_TRUE(std::isnan(found)) << bits;
  } else {
    EXPECT_EQ(found, expected) << bits;
    EXPECT_EQ(std::signbit(found), std::signbit(expected)) << bits;
  }
}

TEST(DType, AllHalfPatternsConvertByDefinition) {
  std::vector<std::uint16_t> all(65536);
  for (unsigned bits = 0; bits < 65536; ++bits) all[bits] = static_cast<std::uint16_t>(bits);
  // One byte off, because tensors need not be aligned.
  std::vector<std::uint8_t> bytes(65536 * 2 + 1);
  std::memcpy(bytes.data() + 1, all.data(), 65536 * 2);
  std::vector<float> f16(65536);
  std::vector<float> bf16(65536);
  to_float(DType::kF16, std::span(bytes).subspan(1), f16);
  to_float(DType::kBF16, std::span(bytes).subspan(1), bf16);
  for (unsigned bits = 0; bits < 65536; ++bits) {
    expect_same(f16_to_float(all[bits]), value_of(bits, 5, 10), bits);
    expect_same(f16[bits], value_of(bits, 5, 10), bits);
    expect_same(bf16_to_float(all[bits]), value_of(bits, 8, 7), bits);
    expect_same(bf16[bits], value_of(bits, 8, 7), bits);
  }
}

TEST(DType, EveryHalfSurvivesTheRoundTrip) {
  for (unsigned bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    if (std::isnan(f16_to_float(half))) {
      EXPECT_TRUE(std::isnan(f16_to_float(float_to_f16(f16_to_float(half))))) << bits;
    } else {
      EXPECT_EQ(float_to_f16(f16_to_float(half)), half);
    }
    if (std::isnan(bf16_to_float(half))) {
      EXPECT_TRUE(std::isnan(bf16_to_float(float_to_bf16(bf16_to_float(half))))) << bits;
    } else {
      EXPECT_EQ(float_to_bf16(bf16_to_float(half)), half);
    }
  }
}

/// Midpoints go to the even neighbour and their float neighbours to the nearer side; since rounding is
/// monotonic, that fixes it everywhere.
template <typename To>
void expect_nearest_even(unsigned low_bits, float low, float high, To to_half) {
  const float midpoint = low + (high - low) / 2;
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float sign : {1.0F, -1.0F}) {
    const unsigned low_half = low_bits | (sign < 0 ? 0x8000U : 0U);
    EXPECT_EQ(to_half(sign * std::nextafter(midpoint, 0.0F)), low_half);
    EXPECT_EQ(to_half(sign * midpoint), low_half + (low_half & 1));
    EXPECT_EQ(to_half(sign * std::nextafter(midpoint, infinity)), low_half + 1);
  }
}

TEST(DType, FloatToF16RoundsToNearestEvenAroundEveryMidpoint) {
  for (unsigned bits = 0; bits < 0x7bff; ++bits) {
    expect_nearest_even(bits, static_cast<float>(value_of(bits, 5, 10)),
                        static_cast<float>(value_of(bits + 1, 5, 10)), float_to_f16);
  }
  expect_nearest_even(0x7bff, 65504.0F, 65536.0F, float_to_f16);  // the step into infinity
}

TEST(DType, FloatToBf16RoundsToNearestEvenAroundEveryMidpoint) {
  for (unsigned bits = 0; bits < 0x7f7f; ++bits) {
    expect_nearest_even(bits, static_cast<float>(value_of(bits, 8, 7)),
                        static_cast<float>(value_of(bits + 1, 8, 7)), float_to_bf16);
  }
}

TEST(DType, ExtremesOfFloatConvert) {
  const float infinity = std::numeric_limits<float>::infinity();
  const float largest = std::numeric_limits<float>::max();
  EXPECT_EQ(float_to_f16(largest), 0x7c00);
  EXPECT_EQ(float_to_f16(-infinity), 0xfc00);
  EXPECT_EQ(float_to_bf16(largest), 0x7f80);
  EXPECT_EQ(float_to_bf16(-infinity), 0xff80);
  EXPECT_EQ(float_to_f16(std::numeric_limits<float>::denorm_min()), 0);
  EXPECT_EQ(float_to_f16(-0.0F), 0x8000);
  // A NaN whose payload sits in the bits that are cut off.
  const float nan = std::bit_cast<float>(0x7f800001U);
  EXPECT_TRUE(std::isnan(f16_to_float(float_to_f16(nan))));
  EXPECT_TRUE(std::isnan(bf16_to_float(float_to_bf16(nan))));
}

TEST(DType, NamesAndSizesAreThoseOfSafetensors) {
  for (const auto& [name, bytes] : std::vector<std::pair<std::string, std::size_t>>{{"F64", 8},
                                                                                    {"F32", 4},
                                                                                    {"F16", 2},
                                                                                    {"BF16", 2},
                                                                                    {"I64", 8},
                                                                                    {"I32", 4},
                                                                                    {"I16", 2},
                                                                                    {"I8", 1},
                                                                                    {"U64", 8},
                                                                                    {"U32", 4},
                                                                                    {"U16", 2},
                                                                                    {"U8", 1},
                                                                                    {"BOOL", 1},
                                                                                    {"F8_E4M3", 1},
                                                                                    {"F8_E5M2", 1}}) {
    DType dtype = DType::kF32;
    ASSERT_TRUE(parse_dtype(name, dtype)) << name;
    EXPECT_EQ(dtype_name(dtype), name);
    EXPECT_EQ(dtype_bytes(dtype), bytes) << name;
    EXPECT_EQ(is_float_weight(dtype), name == "F32" || name == "F16" || name == "BF16") << name;
  }
  DType dtype = DType::kI8;
  EXPECT_FALSE(parse_dtype("f32", dtype));
  EXPECT_FALSE(parse_dtype("", dtype));
  EXPECT_EQ(dtype, DType::kI8);
}

TEST(DType, ToFloatRefusesOtherTypesAndSizes) {
  const std::vector<std::uint8_t> bytes(8);
  std::vector<float> out(4);
  EXPECT_THROW(to_float(DType::kI16, bytes, out), Error);
  EXPECT_THROW(to_float(DType::kF32, bytes, out), Error);
  EXPECT_THROW(to_float(DType::kF16, std::span(bytes).first(7), out), Error);
  EXPECT_NO_THROW(to_float(DType::kF32, {}, {}));
}

}  // namespace
}  // namespace twofold
