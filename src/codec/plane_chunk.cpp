#include <algorithm>

#include "base/aligned.h"
#include "base/error.h"
#include "codec/plane_table.h"

namespace twofold {

namespace {

std::uint64_t read32(const std::uint8_t* p) {
  return p[0] | p[1] << 8 | p[2] << 16 | static_cast<std::uint64_t>(p[3]) << 24;
}

/// Finds the streams in front of the plane, at which `at` is left; it may be behind the end.
PlaneCursor open_streams(const PlaneTable& table, std::span<const std::uint8_t> coded, std::size_t& at) {
  const auto levels = static_cast<std::size_t>(table.levels());
  if (coded.size() < 4 * (levels + 1)) {
    fail("{} bytes, expected a header of {}", coded.size(), 4 * (levels + 1));
  }
  PlaneCursor cursor;
  cursor.corrections_left = read32(coded.data());
  at = 4 * (levels + 1);
  for (std::size_t j = 0; j < levels; ++j) {
    cursor.level_bytes[j] = read32(coded.data() + 4 * (j + 1));
    if (cursor.level_bytes[j] > coded.size() - at) {
      fail("level {}: {} bytes, but {} are left", j, cursor.level_bytes[j], coded.size() - at);
    }
    cursor.level[j] = coded.data() + at;
    at += cursor.level_bytes[j];
  }
  // 32 bits times 16 cannot overflow.
  const std::uint64_t correction_bits =
      cursor.corrections_left *
      static_cast<unsigned>(table.corrections().gap_bits + table.corrections().delta_bits);
  if ((correction_bits + 7) / 8 > coded.size() - at) {
    fail("{} corrections, but {} bytes are left", cursor.corrections_left, coded.size() - at);
  }
  cursor.corrections = coded.data() + at;
  at = align_up(at + (correction_bits + 7) / 8, kPlaneAlignment);
  return cursor;
}

}  // namespace

PlaneCursor open_plane_chunk(const PlaneTable& table, std::uint64_t rows, std::uint64_t groups_per_row,
                             std::span<const std::uint8_t> coded) {
  std::size_t at = 0;
  PlaneCursor cursor = open_streams(table, coded, at);

  // Rows are at most 2^31 groups of at most 64 bytes, so that a row's size does not overflow, and neither
  // does the number of rows that fit.
  const std::uint64_t row_bytes =
      table.classes.size() == 1 ? groups_per_row * table.classes[0].group_bytes() : table.row_bytes();
  const std::uint64_t left = coded.size() < at + kPlaneSlack ? 0 : coded.size() - at - kPlaneSlack;
  if (coded.size() < at + kPlaneSlack || left % row_bytes != 0 || left / row_bytes != rows) {
    fail("{} bytes behind the streams, expected {} rows of {} and {}",
         coded.size() < at ? 0 : coded.size() - at, rows, row_bytes, kPlaneSlack);
  }
  cursor.plane = coded.data() + at;
  cursor.ahead = coded.data() + coded.size();
  cursor.ahead_per_group = coded.size() / std::max<std::uint64_t>(rows * groups_per_row, 1) + 1;
  return cursor;
}

std::uint64_t plane_sequence_groups(const PlaneTable& table, std::span<const std::uint8_t> coded) {
  std::size_t at = 0;
  open_streams(table, coded, at);
  if (coded.size() < at + kPlaneSlack) return 0;
  return (coded.size() - at - kPlaneSlack) / table.classes[0].group_bytes();
}

void check_plane_end(const PlaneTable& table, const PlaneCursor& cursor) {
  for (std::size_t j = 0; j < static_cast<std::size_t>(table.levels()); ++j) {
    if ((cursor.level_bit[j] + 7) / 8 != cursor.level_bytes[j]) {
      fail("level {}: {} bits used of {} bytes", j, cursor.level_bit[j], cursor.level_bytes[j]);
    }
  }
  if (cursor.corrections_left > 0) fail("{} corrections behind the last row", cursor.corrections_left);
}

}  // namespace twofold
