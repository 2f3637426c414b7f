#pragma once

#include <cstdint>
#include <cstring>

// Code that runs on the CPU and on a GPU: the tests of the one prove the other.
#if defined(__CUDACC__)
#define TWOFOLD_HD __host__ __device__ __forceinline__
#else
#define TWOFOLD_HD inline
#endif
#if defined(__CUDA_ARCH__)
#define TWOFOLD_UNROLL _Pragma("unroll")
#else
#define TWOFOLD_UNROLL
#endif

namespace twofold::device {

/// Word i of little-endian bytes, which on a GPU begin at a multiple of 4.
TWOFOLD_HD std::uint32_t load_word(const std::uint8_t* bytes, std::uint32_t i) {
#if defined(__CUDA_ARCH__)
  return reinterpret_cast<const std::uint32_t*>(bytes)[i];
#else
  std::uint32_t word;
  std::memcpy(&word, bytes + std::size_t{4} * i, sizeof word);
  return word;
#endif
}

/// Words 2 i and 2 i + 1 of bytes that on a GPU begin at a multiple of 8.
TWOFOLD_HD void load_two_words(const std::uint8_t* bytes, std::uint32_t i, std::uint32_t& first,
                               std::uint32_t& second) {
#if defined(__CUDA_ARCH__)
  const uint2 both = reinterpret_cast<const uint2*>(bytes)[i];
  first = both.x;
  second = both.y;
#else
  first = load_word(bytes, 2 * i);
  second = load_word(bytes, 2 * i + 1);
#endif
}

/// The 32 bits from bit `shift` mod 32 of low on, high behind it.
TWOFOLD_HD std::uint32_t funnel_shift(std::uint32_t low, std::uint32_t high, std::uint32_t shift) {
#if defined(__CUDA_ARCH__)
  return __funnelshift_r(low, high, shift);
#else
  return static_cast<std::uint32_t>((std::uint64_t{high} << 32 | low) >> (shift & 31));
#endif
}

/// sum + the products of four unsigned and four signed bytes.
TWOFOLD_HD std::int32_t dot4(std::uint32_t unsigned_bytes, std::uint32_t signed_bytes, std::int32_t sum) {
#if defined(__CUDA_ARCH__)
  asm("dp4a.u32.s32 %0, %1, %2, %0;" : "+r"(sum) : "r"(unsigned_bytes), "r"(signed_bytes));
  return sum;
#else
  for (int i = 0; i < 32; i += 8) {
    sum += static_cast<std::int32_t>(unsigned_bytes >> i & 255) *
           static_cast<std::int8_t>(signed_bytes >> i & 255);
  }
  return sum;
#endif
}

/// Byte by byte, modulo 256.
TWOFOLD_HD std::uint32_t add_bytes(std::uint32_t a, std::uint32_t b) {
  constexpr std::uint32_t kLow = 0x7f7f7f7f;
  return ((a & kLow) + (b & kLow)) ^ ((a ^ b) & ~kLow);
}

/// The same byte four times.
TWOFOLD_HD std::uint32_t four_bytes(std::int32_t value) {
  return static_cast<std::uint32_t>(value & 255) * 0x01010101U;
}

TWOFOLD_HD void store_word(std::int8_t* to, std::uint32_t word) {
#if defined(__CUDA_ARCH__)
  *reinterpret_cast<std::uint32_t*>(to) = word;
#else
  std::memcpy(to, &word, sizeof word);
#endif
}

/// Bits of a stream of words in order, zeros behind its end. Fields have at most 32 bits.
class WordBits {
 public:
  TWOFOLD_HD WordBits(const std::uint8_t* bytes, std::uint32_t words, std::uint32_t position)
      : bytes_(bytes), words_(words), next_(position / 32 + 2), position_(position) {
    low_ = word(next_ - 2);
    high_ = word(next_ - 1);
  }

  TWOFOLD_HD std::uint32_t position() const { return position_; }
  TWOFOLD_HD std::uint32_t window() const { return funnel_shift(low_, high_, position_); }
  TWOFOLD_HD void skip(std::uint32_t bits) {
    const std::uint32_t position = position_ + bits;
    if (((position ^ position_) & 32) != 0) {
      low_ = high_;
      high_ = word(next_++);
    }
    position_ = position;
  }
  TWOFOLD_HD std::uint32_t take(std::uint32_t bits) {
    const std::uint32_t value = window() & ((1U << bits) - 1);  // fewer than 32
    skip(bits);
    return value;
  }

 private:
  TWOFOLD_HD std::uint32_t word(std::uint32_t i) const { return i < words_ ? load_word(bytes_, i) : 0; }

  const std::uint8_t* bytes_;
  std::uint32_t words_;
  std::uint32_t next_;
  std::uint32_t position_;
  std::uint32_t low_;
  std::uint32_t high_;
};

}  // namespace twofold::device
