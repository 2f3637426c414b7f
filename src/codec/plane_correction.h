#pragma once

#include <cstring>

#include "codec/plane_table.h"

namespace twofold {

/// The loop of correct_rows for one format. A window of 8 bytes holds at least 57 bits of the list.
template <int kGapBits, int kDeltaBits, typename Rows>
inline void correct_rows_in(PlaneCursor& cursor, std::size_t count, std::uint64_t groups, Rows& rows) {
  constexpr int kWidth = kGapBits + kDeltaBits;
  constexpr int kPerWindow = 57 / kWidth;
  // Copies, because what `rows` writes may alias the cursor.
  const std::uint8_t* list = cursor.corrections;
  std::uint64_t bit = 0;
  std::uint64_t left = cursor.corrections_left;
  std::uint64_t next = kPlaneNoCorrection;
  std::uint64_t window = 0;
  int in_window = 0;
  const auto refill = [&] {
    std::memcpy(&window, list + (bit >> 3), sizeof window);
    window >>= bit & 7;
    bit += kPerWindow * kWidth;
    in_window = kPerWindow;
  };
  const auto gap = [&] { return window & ((1u << kGapBits) - 1); };
  if (left > 0) {
    refill();
    next = gap();
  }
  std::uint64_t row_begin = 0;
  for (std::size_t row = 0; row < count; ++row) {
    const std::uint64_t row_end = row_begin + groups * kGroupColumns;
    while (next < row_end) {
      // Shifting the difference to the top extends its sign on the way back.
      rows.add(next - row_begin,
               static_cast<std::int32_t>(static_cast<std::uint32_t>(window) << (32 - kWidth)) >>
                   (32 - kDeltaBits));
      if (--left == 0) {
        next = kPlaneNoCorrection;
        break;
      }
      window >>= kWidth;
      if (--in_window == 0) refill();
      next += gap();
    }
    rows.next_row();
    row_begin = row_end;
  }
  cursor.corrections_left = left;
}

/// Calls rows.add(column, difference) for the corrections of each of the `count` rows of a chunk, `groups`
/// groups of columns each, and rows.next_row() behind each row. The seven bytes behind a list can be read.
template <typename Rows>
inline void correct_rows(const PlaneTable& table, PlaneCursor& cursor, std::size_t count,
                         std::uint64_t groups, Rows& rows) {
  switch (table.correction_format) {
    case 0:
      return correct_rows_in<5, 3>(cursor, count, groups, rows);
    case 1:
      return correct_rows_in<7, 3>(cursor, count, groups, rows);
    case 2:
      return correct_rows_in<8, 4>(cursor, count, groups, rows);
    case 3:
      return correct_rows_in<10, 4>(cursor, count, groups, rows);
    case 4:
      return correct_rows_in<11, 5>(cursor, count, groups, rows);
    default:
      return correct_rows_in<8, 8>(cursor, count, groups, rows);
  }
}

}  // namespace twofold
