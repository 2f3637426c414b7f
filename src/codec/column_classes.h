#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "codec/bit_stream.h"
#include "codec/entropy.h"

namespace twofold {

inline constexpr std::int64_t kGroupColumns = 64;  // columns of a group
inline constexpr std::size_t kMaxColumnClasses = 16;

/// Input channels sorted into classes of similar weights. After scaling, the channels of a layer differ in
/// spread, so a code per class needs fewer bits than the order-0 entropy of the whole matrix. A codec stores
/// the columns class by class: class c has the positions begin[c] ... begin[c + 1] - 1 of that order, whole
/// groups of 64 columns but for the last class.
struct ColumnClasses {
  std::vector<std::int64_t> begin;  // classes + 1 positions
  std::vector<std::int32_t> order;  // column at each position; empty: the columns stay in place

  std::size_t size() const { return begin.size() - 1; }
};

/// One class, columns in place.
ColumnClasses one_class(std::int64_t cols);

/// Cost in bits of coding weights with this histogram as a class of their own, its parameters included.
using ClassCost = std::function<double(const Histogram&)>;

/// Sorts the columns of a matrix by their mean |weight| and cuts them, at groups, into the at most
/// `max_classes` classes that minimise the cost (by dynamic programming), the bits of `write_column_classes`
/// included. When the cost per class falls by no more than that, there is one class and the columns stay in
/// place.
ColumnClasses make_column_classes(std::span<const std::int8_t> weights, std::int64_t cols,
                                  std::size_t max_classes, const ClassCost& cost);

/// The histogram of each class.
std::vector<Histogram> class_histograms(std::span<const std::int8_t> weights, std::int64_t cols,
                                        const ColumnClasses& classes);

/// The class of each column as a field of ceil(log2 classes) bits; a class's columns keep their order.
/// Nothing for one class.
void write_column_classes(const ColumnClasses& classes, BitWriter& out);

/// Reads a hostile map of `classes` (1 ... kMaxColumnClasses) classes; an Error when a class has no columns
/// or one but the last has a broken group.
ColumnClasses read_column_classes(std::int64_t cols, std::size_t classes, BitReader& in);

/// rows x cols weights from the matrix's order of columns to the classes' and back. Spans do not overlap.
void columns_to_classes(const ColumnClasses& classes, std::span<const std::int8_t> matrix,
                        std::span<std::int8_t> out);
void columns_from_classes(const ColumnClasses& classes, std::span<const std::int8_t> sorted,
                          std::span<std::int8_t> out);

}  // namespace twofold
