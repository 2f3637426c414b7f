#include "codec/ans8_raw.h"

#include <algorithm>
#include <cstring>

namespace twofold {

namespace {

constexpr std::size_t kGroup = 64;

std::size_t group_fields(std::size_t left) {
  return left >= kGroup ? kGroup : (left + 7) / 8 * 8;
}

/// Appends bits shift ... shift + bits - 1 of each field.
void write_plane(const std::uint8_t* fields, std::size_t count, int shift, int bits,
                 std::vector<std::uint8_t>& out) {
  const std::size_t bytes = count * static_cast<std::size_t>(bits) / 8;
  const int mask = (1 << bits) - 1;
  for (std::size_t j = 0; j < bytes; ++j) {
    int byte = 0;
    for (int t = 0; t < 8 / bits; ++t) {
      byte |= (fields[j + static_cast<std::size_t>(t) * bytes] >> shift & mask) << (t * bits);
    }
    out.push_back(static_cast<std::uint8_t>(byte));
  }
}

std::uint64_t load(const std::uint8_t* bytes) {
  std::uint64_t word;
  std::memcpy(&word, bytes, 8);
  return word;
}
void store(std::uint8_t* bytes, std::uint64_t word) {
  std::memcpy(bytes, &word, 8);
}

/// 64 fields of k bits, eight at a time in the bytes of a 64-bit word.
template <int k>
void unpack_group(const std::uint8_t* in, std::uint8_t* out) {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  if constexpr (k > 1) {
    const std::uint64_t first = load(in);
    const std::uint64_t second = load(in + 8);
#pragma GCC unroll 4
    for (int t = 0; t < 4; ++t) {
      store(out + 16 * t, first >> 2 * t & 3 * kOnes);
      store(out + 16 * t + 8, second >> 2 * t & 3 * kOnes);
    }
  }
  if constexpr (k % 2 == 1) {
    const std::uint64_t top = load(in + (k > 1 ? 16 : 0));
#pragma GCC unroll 8
    for (int t = 0; t < 8; ++t) {
      const std::uint64_t bits = (top >> t & kOnes) << (k - 1);
      store(out + 8 * t, k > 1 ? load(out + 8 * t) | bits : bits);
    }
  }
}

/// `count` fields, a multiple of 8 below 64.
void unpack_rest(const std::uint8_t* in, int k, std::size_t count, std::uint8_t* out) {
  const std::size_t pairs = k > 1 ? count / 4 : 0;  // bytes of the plane of 2 bits
  for (std::size_t i = 0; i < count; ++i) {
    int field = 0;
    if (k > 1) field = in[i % (count / 4)] >> (i / (count / 4) * 2) & 3;
    if (k % 2 == 1) field |= (in[pairs + i % (count / 8)] >> i / (count / 8) & 1) << (k - 1);
    out[i] = static_cast<std::uint8_t>(field);
  }
}

}  // namespace

void write_ans8_raw(std::span<const std::uint8_t> fields, int k, std::vector<std::uint8_t>& out) {
  while (!fields.empty()) {
    const std::size_t taken = std::min(fields.size(), kGroup);
    const std::size_t count = group_fields(taken);
    std::array<std::uint8_t, kGroup> group{};
    std::copy_n(fields.data(), taken, group.data());
    if (k > 1) write_plane(group.data(), count, 0, 2, out);
    if (k % 2 == 1) write_plane(group.data(), count, k - 1, 1, out);
    fields = fields.subspan(taken);
  }
}

void Ans8RawReader::fill() {
  std::memmove(window_.data(), window_.data() + at_, size_ - at_);
  size_ -= at_;
  at_ = 0;
  for (; packed_ >= kGroup && size_ < kBatch; packed_ -= kGroup, size_ += kGroup) {
    std::uint8_t* const out = window_.data() + size_;
    if (k_ == 1) unpack_group<1>(bytes_.data(), out);
    if (k_ == 2) unpack_group<2>(bytes_.data(), out);
    if (k_ == 3) unpack_group<3>(bytes_.data(), out);
    bytes_ = bytes_.subspan(8 * static_cast<std::size_t>(k_));
  }
  if (packed_ > 0 && packed_ < kGroup && size_ < kBatch) {
    unpack_rest(bytes_.data(), k_, group_fields(packed_), window_.data() + size_);
    size_ += packed_;
    packed_ = 0;
  }
  std::memset(window_.data() + size_, 0, kPadding);
}

bool Ans8RawReader::advance(const std::uint8_t* data) {
  if (data > end()) return false;
  at_ = static_cast<std::size_t>(data - window_.data());
  return true;
}

}  // namespace twofold
