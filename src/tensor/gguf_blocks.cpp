#include "tensor/gguf_blocks.h"

#include <cstring>

#include "base/error.h"

// The formats are those of GGML (ggml-common.h, block_q4_0 and so on). In all of them an element is an
// integer times a step, plus a minimum in some; steps and minima are binary16, in the K formats themselves
// times small integers for each 16 or 32 elements.

namespace twofold {

namespace {

constexpr std::size_t kSuperBlock = 256;

float half_at(const std::uint8_t* bytes) {
  std::uint16_t bits;
  std::memcpy(&bits, bytes, sizeof bits);
  return f16_to_float(bits);
}

/// Blocks of 32: element i in the low half of byte i, element i + 16 in the high half.
void q4_0(const std::uint8_t* in, float* out) {
  const float step = half_at(in);
  for (int i = 0; i < 16; ++i) {
    const int byte = in[2 + i];
    out[i] = step * static_cast<float>((byte & 15) - 8);
    out[i + 16] = step * static_cast<float>((byte >> 4) - 8);
  }
}

void q4_1(const std::uint8_t* in, float* out) {
  const float step = half_at(in);
  const float least = half_at(in + 2);
  for (int i = 0; i < 16; ++i) {
    const int byte = in[4 + i];
    out[i] = step * static_cast<float>(byte & 15) + least;
    out[i + 16] = step * static_cast<float>(byte >> 4) + least;
  }
}

/// The fifth bits stand before the halves, that of element i in bit i.
std::uint32_t fifth_bits(const std::uint8_t* in) {
  std::uint32_t bits;
  std::memcpy(&bits, in, sizeof bits);
  return bits;
}

void q5_0(const std::uint8_t* in, float* out) {
  const float step = half_at(in);
  const std::uint32_t high = fifth_bits(in + 2);
  for (int i = 0; i < 16; ++i) {
    const int byte = in[6 + i];
    const int low_high = static_cast<int>(high >> i & 1) << 4;
    const int high_high = static_cast<int>(high >> (i + 16) & 1) << 4;
    out[i] = step * static_cast<float>(((byte & 15) | low_high) - 16);
    out[i + 16] = step * static_cast<float>(((byte >> 4) | high_high) - 16);
  }
}

void q5_1(const std::uint8_t* in, float* out) {
  const float step = half_at(in);
  const float least = half_at(in + 2);
  const std::uint32_t high = fifth_bits(in + 4);
  for (int i = 0; i < 16; ++i) {
    const int byte = in[8 + i];
    const int low_high = static_cast<int>(high >> i & 1) << 4;
    const int high_high = static_cast<int>(high >> (i + 16) & 1) << 4;
    out[i] = step * static_cast<float>((byte & 15) | low_high) + least;
    out[i + 16] = step * static_cast<float>((byte >> 4) | high_high) + least;
  }
}

void q8_0(const std::uint8_t* in, float* out) {
  const float step = half_at(in);
  for (int i = 0; i < 32; ++i) out[i] = step * static_cast<float>(static_cast<std::int8_t>(in[2 + i]));
}

/// Scale and minimum in a byte for each 16 elements; two bits of four runs of 32 in each byte.
void q2_k(const std::uint8_t* in, float* out) {
  const std::uint8_t* scales = in;
  const std::uint8_t* quants = in + 16;
  const float step = half_at(in + 80);
  const float least = half_at(in + 82);
  for (int i = 0; i < static_cast<int>(kSuperBlock); ++i) {
    const int scale = scales[i / 16];
    const int q = quants[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
    out[i] = step * static_cast<float>(scale & 15) * static_cast<float>(q) -
             least * static_cast<float>(scale >> 4);
  }
}

/// 16 scales of 6 bits: the low four in 8 bytes of halves, the high two in 4 bytes of quarters.
void q3_k(const std::uint8_t* in, float* out) {
  const std::uint8_t* masks = in;
  const std::uint8_t* quants = in + 32;
  const std::uint8_t* scales = in + 96;
  const float step = half_at(in + 108);
  for (int i = 0; i < static_cast<int>(kSuperBlock); ++i) {
    const int group = i / 16;
    const int low = scales[group % 8] >> (group / 8 * 4) & 15;
    const int high = scales[8 + group % 4] >> (group / 4 * 2) & 3;
    const int q = quants[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
    const int offset = (masks[i % 32] >> (i / 32) & 1) != 0 ? 0 : 4;  // a set bit means no offset
    out[i] = step * static_cast<float>((low | high << 4) - 32) * static_cast<float>(q - offset);
  }
}

/// Step and minimum of each 32 elements, from the 12 bytes that pack eight pairs of 6 bits.
struct ScaleAndMinimum {
  float step[8];
  float least[8];

  explicit ScaleAndMinimum(const std::uint8_t* in) {
    const float block_step = half_at(in);
    const float block_least = half_at(in + 2);
    const std::uint8_t* packed = in + 4;
    for (int j = 0; j < 8; ++j) {
      const int scale = j < 4 ? packed[j] & 63 : (packed[j + 4] & 15) | packed[j - 4] >> 6 << 4;
      const int minimum = j < 4 ? packed[j + 4] & 63 : packed[j + 4] >> 4 | packed[j] >> 6 << 4;
      step[j] = block_step * static_cast<float>(scale);
      least[j] = block_least * static_cast<float>(minimum);
    }
  }
};

void q4_k(const std::uint8_t* in, float* out) {
  const ScaleAndMinimum scales(in);
  const std::uint8_t* quants = in + 16;
  for (int j = 0; j < 8; ++j) {
    for (int i = 0; i < 32; ++i) {
      const int q = quants[j / 2 * 32 + i] >> (j % 2 * 4) & 15;
      out[32 * j + i] = scales.step[j] * static_cast<float>(q) - scales.least[j];
    }
  }
}

void q5_k(const std::uint8_t* in, float* out) {
  const ScaleAndMinimum scales(in);
  const std::uint8_t* high = in + 16;
  const std::uint8_t* quants = in + 48;
  for (int j = 0; j < 8; ++j) {
    for (int i = 0; i < 32; ++i) {
      const int q = (quants[j / 2 * 32 + i] >> (j % 2 * 4) & 15) | (high[i] >> j & 1) << 4;
      out[32 * j + i] = scales.step[j] * static_cast<float>(q) - scales.least[j];
    }
  }
}

/// Each half of the block: 64 bytes with the low four bits of 128 elements, 32 bytes with the high two.
void q6_k(const std::uint8_t* in, float* out) {
  const std::uint8_t* low = in;
  const std::uint8_t* high = in + 128;
  const std::uint8_t* scales = in + 192;
  const float block_step = half_at(in + 208);
  for (int group = 0; group < 16; ++group) {
    const float step = block_step * static_cast<float>(static_cast<std::int8_t>(scales[group]));
    for (int i = 16 * group; i < 16 * group + 16; ++i) {
      const int half = i / 128;
      const int run = i % 128 / 32;
      const int q4 = low[half * 64 + run % 2 * 32 + i % 32] >> (run / 2 * 4) & 15;
      const int q2 = high[half * 32 + i % 32] >> (run * 2) & 3;
      out[i] = step * static_cast<float>((q4 | q2 << 4) - 32);
    }
  }
}

using Convert = void (*)(const std::uint8_t*, float*);

Convert converter(DType dtype) {
  switch (dtype) {
    case DType::kQ40:
      return q4_0;
    case DType::kQ41:
      return q4_1;
    case DType::kQ50:
      return q5_0;
    case DType::kQ51:
      return q5_1;
    case DType::kQ80:
      return q8_0;
    case DType::kQ2K:
      return q2_k;
    case DType::kQ3K:
      return q3_k;
    case DType::kQ4K:
      return q4_k;
    case DType::kQ5K:
      return q5_k;
    case DType::kQ6K:
      return q6_k;
    default:
      return nullptr;
  }
}

}  // namespace

bool is_gguf_block(DType dtype) {
  return converter(dtype) != nullptr;
}

void gguf_blocks_to_float(DType dtype, std::span<const std::uint8_t> bytes, std::span<float> out) {
  const Convert convert = converter(dtype);
  if (convert == nullptr) fail("cannot convert {} to float: expected a block type", dtype_name(dtype));
  const std::size_t elements = dtype_block(dtype);
  const std::size_t width = dtype_bytes(dtype);
  const std::size_t blocks = out.size() / elements;
  if (out.size() % elements != 0 || bytes.size() % width != 0 || bytes.size() / width != blocks) {
    fail("cannot convert {} bytes of {} to {} floats", bytes.size(), dtype_name(dtype), out.size());
  }
  for (std::size_t i = 0; i < blocks; ++i) convert(&bytes[i * width], &out[i * elements]);
}

}  // namespace twofold
