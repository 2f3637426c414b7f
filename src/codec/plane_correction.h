#pragma once

#include <cstring>

#include "codec/plane_table.h"

namespace twofold {

/// Calls correct(column, difference) for the corrections of the row that begins at cursor.row_begin and has
/// `groups` groups of columns, and moves on to the next row. The seven bytes behind a list can be read.
template <typename Correct>
inline void correct_row(const PlaneTable& table, PlaneCursor& cursor, std::uint64_t groups,
                        const Correct& correct) {
  const std::uint64_t row_begin = cursor.row_begin;
  const std::uint64_t row_end = row_begin + groups * kGroupColumns;
  cursor.row_begin = row_end;
  std::uint64_t next = cursor.next;
  if (next >= row_end) return;
  const std::uint64_t gap_mask = (1u << table.gap_bits) - 1;
  const int width = table.gap_bits + table.delta_bits;
  const int delta_bits = table.delta_bits;
  const std::uint8_t* corrections = cursor.corrections;
  // Copies, because bytes may alias the cursor.
  std::uint64_t bit = cursor.correction_bit;
  std::uint64_t left = cursor.corrections_left;
  do {
    std::uint64_t window;  // this correction and the gap to the next one: at most 7 + 16 + 16 bits
    std::memcpy(&window, corrections + (bit >> 3), sizeof window);
    window >>= bit & 7;
    bit += static_cast<std::uint64_t>(width);
    // Shifting the difference to the top extends its sign on the way back.
    correct(next - row_begin, static_cast<std::int32_t>(static_cast<std::uint32_t>(window) << (32 - width)) >>
                                  (32 - delta_bits));
    next += window >> width & gap_mask;
    if (--left == 0) next = kPlaneNoCorrection;
  } while (next < row_end);
  cursor.next = next;
  cursor.correction_bit = bit;
  cursor.corrections_left = left;
}

}  // namespace twofold
