#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "codec/column_classes.h"

namespace twofold {

/// The order in which the `ans` codecs code the weights of a chunk: class after class; within a class blocks
/// of 16 rows (the last one may have fewer), within a block column after column, so that the way back to the
/// matrix moves whole columns of 16 weights. With one class it is the matrix's own order.
class ClassOrder {
 public:
  explicit ClassOrder(ColumnClasses classes);

  const ColumnClasses& classes() const { return classes_; }
  bool is_matrix_order() const { return classes_.order.empty(); }
  /// Weights of class `c` among `count` weights of whole rows. One class takes any count.
  std::size_t weights(std::size_t c, std::size_t count) const;

  /// Whole rows of the matrix into the coded order and back; not for one class.
  void sort(std::span<const std::int8_t> matrix, std::int8_t* sorted) const;
  /// `sorted` has kPadding more bytes behind the weights, which are read and not used.
  void restore(const std::int8_t* sorted, std::span<std::int8_t> matrix) const;

  static constexpr std::size_t kPadding = 16;
  /// A buffer of this thread for `count` weights in the coded order, with the padding behind them. Kept,
  /// because to allocate one per chunk would cost a tenth of the time.
  static std::span<std::int8_t> buffer(std::size_t count);

 private:
  ColumnClasses classes_;
  std::vector<std::uint32_t> rank_;   // of each column among those of its class
  std::vector<std::uint32_t> class_;  // of each column
};

inline constexpr std::size_t kMaxAnsClasses = 8;  // more save next to nothing and take time to load

/// Cost of a class for make_column_classes: its entropy, and about what its table takes.
double ans_class_cost(const Histogram& histogram);

/// A table with one part per class. For one class it is that part. Else, little-endian: 127, the number of
/// classes (2-16), the map of write_column_classes, and per class 2 bytes of length and its part. No part
/// starts with the byte 127.
std::vector<std::uint8_t> write_class_tables(const ColumnClasses& classes,
                                             std::span<const std::vector<std::uint8_t>> parts);

struct ClassTables {
  ColumnClasses classes;
  std::vector<std::span<const std::uint8_t>> parts;  // of the table read
};

/// Reads a hostile table; the parts of several classes are at least one byte long.
ClassTables read_class_tables(std::span<const std::uint8_t> table, std::int64_t cols);

}  // namespace twofold
