#include "codec/class_order.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace twofold {

namespace {

constexpr std::size_t kBlock = 16;  // rows of a block, columns moved at once
constexpr std::size_t kStrip = 64;  // columns that leave at once
constexpr std::uint8_t kSeveral = 127;

// A vector of the compiler's own: interleaving is one instruction on every SIMD set.
using Bytes = std::uint8_t __attribute__((vector_size(kBlock)));

inline Bytes interleave_low(Bytes a, Bytes b) {
  return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
inline Bytes interleave_high(Bytes a, Bytes b) {
  return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

/// One of four rounds of a perfect shuffle, which together transpose 16 x 16 bytes.
inline void shuffle_round(const Bytes* in, Bytes* out) {
#pragma GCC unroll 8
  for (std::size_t i = 0; i < 8; ++i) {
    out[2 * i] = interleave_low(in[i], in[i + 8]);
    out[2 * i + 1] = interleave_high(in[i], in[i + 8]);
  }
}

/// 16 columns of 16 bytes at sorted + at[0 ... 15] to 16 rows of kStrip bytes.
inline void transpose(const std::int8_t* sorted, const std::uint64_t* at, std::int8_t* out) {
  Bytes a[kBlock], b[kBlock];
#pragma GCC unroll 16
  for (std::size_t i = 0; i < kBlock; ++i) std::memcpy(&a[i], sorted + at[i], kBlock);
  shuffle_round(a, b);
  shuffle_round(b, a);
  shuffle_round(a, b);
  shuffle_round(b, a);
#pragma GCC unroll 16
  for (std::size_t row = 0; row < kBlock; ++row) std::memcpy(out + row * kStrip, &a[row], kBlock);
}

}  // namespace

ClassOrder::ClassOrder(ColumnClasses classes) : classes_(std::move(classes)) {
  rank_.resize(classes_.order.size());
  class_.resize(classes_.order.size());
  for (std::size_t c = 0; c < classes_.size() && !is_matrix_order(); ++c) {
    for (std::int64_t i = classes_.begin[c]; i < classes_.begin[c + 1]; ++i) {
      const auto column = static_cast<std::size_t>(classes_.order[static_cast<std::size_t>(i)]);
      rank_[column] = static_cast<std::uint32_t>(i - classes_.begin[c]);
      class_[column] = static_cast<std::uint32_t>(c);
    }
  }
}

std::size_t ClassOrder::weights(std::size_t c, std::size_t count) const {
  if (is_matrix_order()) return count;
  return count / rank_.size() * static_cast<std::size_t>(classes_.begin[c + 1] - classes_.begin[c]);
}

void ClassOrder::sort(std::span<const std::int8_t> matrix, std::int8_t* sorted) const {
  const std::size_t cols = rank_.size();
  const std::size_t rows = matrix.size() / cols;
  for (std::size_t c = 0; c < classes_.size(); ++c) {
    for (std::size_t first = 0; first < rows; first += kBlock) {
      const std::size_t end = std::min(rows, first + kBlock);
      for (std::int64_t i = classes_.begin[c]; i < classes_.begin[c + 1]; ++i) {
        const auto column = static_cast<std::size_t>(classes_.order[static_cast<std::size_t>(i)]);
        for (std::size_t row = first; row < end; ++row) *sorted++ = matrix[row * cols + column];
      }
    }
  }
}

void ClassOrder::restore(const std::int8_t* sorted, std::span<std::int8_t> matrix) const {
  const std::size_t cols = rank_.size();
  const std::size_t rows = matrix.size() / cols;
  std::array<std::uint64_t, kMaxColumnClasses> begin{};  // of each class's block
  for (std::size_t first = 0; first < rows; first += kBlock) {
    const std::size_t height = std::min(kBlock, rows - first);
    for (std::size_t c = 0; c < classes_.size(); ++c) {
      const auto from = static_cast<std::uint64_t>(classes_.begin[c]);
      begin[c] = from * rows + (static_cast<std::uint64_t>(classes_.begin[c + 1]) - from) * first;
    }
    std::int8_t* const out = matrix.data() + first * cols;
    std::size_t column = 0;
    for (; height > 2 && column + kStrip <= cols; column += kStrip) {
      // Whole cache lines leave for the matrix: with a row length of a power of two, 16 lines that are
      // written bit by bit would displace each other.
      alignas(64) std::int8_t strip[kBlock * kStrip];
      for (std::size_t part = 0; part < kStrip; part += kBlock) {
        std::uint64_t at[kBlock];
#pragma GCC unroll 16
        for (std::size_t i = 0; i < kBlock; ++i) {
          const std::size_t j = column + part + i;
          at[i] = begin[class_[j]] + std::uint64_t{rank_[j]} * height;
        }
        transpose(sorted, at, strip + part);
      }
      for (std::size_t row = 0; row < height; ++row) {
        std::memcpy(out + row * cols + column, strip + row * kStrip, kStrip);
      }
    }
    for (; column < cols; ++column) {
      const std::uint64_t at = begin[class_[column]] + std::uint64_t{rank_[column]} * height;
      for (std::size_t row = 0; row < height; ++row) out[row * cols + column] = sorted[at + row];
    }
  }
}

std::span<std::int8_t> ClassOrder::buffer(std::size_t count) {
  thread_local std::vector<std::int8_t> bytes;
  if (bytes.size() < count + kPadding) bytes.resize(count + kPadding);
  return std::span(bytes).first(count);
}

double ans_class_cost(const Histogram& histogram) {
  constexpr double kTableBits = 8 * 9;  // without frequencies
  constexpr double kFrequencyBits = 4;
  double total = 0;
  double values = 0;
  for (const std::uint64_t count : histogram) {
    total += static_cast<double>(count);
    values += count > 0 ? 1 : 0;
  }
  return order0_entropy(histogram) * total + kTableBits + kFrequencyBits * std::min(values, 64.0);
}

std::vector<std::uint8_t> write_class_tables(const ColumnClasses& classes,
                                             std::span<const std::vector<std::uint8_t>> parts) {
  if (classes.size() == 1) return parts[0];
  std::vector<std::uint8_t> out{kSeveral, static_cast<std::uint8_t>(classes.size())};
  BitWriter bits(out);
  write_column_classes(classes, bits);
  for (const std::vector<std::uint8_t>& part : parts) {
    out.push_back(static_cast<std::uint8_t>(part.size()));
    out.push_back(static_cast<std::uint8_t>(part.size() >> 8));
    out.insert(out.end(), part.begin(), part.end());
  }
  return out;
}

ClassTables read_class_tables(std::span<const std::uint8_t> table, std::int64_t cols) {
  if (table.size() < 2 || table[0] != kSeveral) return {one_class(cols), {table}};
  const std::size_t count = table[1];
  if (count < 2 || count > kMaxColumnClasses) {
    fail("codec table: {} column classes, expected 2 to {}", count, kMaxColumnClasses);
  }
  BitReader bits(table.subspan(2));
  ClassTables result{read_column_classes(cols, count, bits), {}};
  std::size_t at = 2 + bits.finish();
  if (!bits.ok()) fail("codec table: broken map of the columns");
  for (std::size_t c = 0; c < count; ++c) {
    if (table.size() - at < 2) fail("codec table: {} bytes end before class {}", table.size(), c);
    const std::size_t size = table[at] | static_cast<std::size_t>(table[at + 1]) << 8;
    at += 2;
    if (size < 1 || size > table.size() - at) {
      fail("codec table: class {} has {} bytes, expected 1 to {}", c, size, table.size() - at);
    }
    result.parts.push_back(table.subspan(at, size));
    at += size;
  }
  if (at != table.size()) fail("codec table: {} bytes, expected {}", table.size(), at);
  return result;
}

}  // namespace twofold
