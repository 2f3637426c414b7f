#include "codec/plane_rows.h"

#include "codec/plane_correction.h"

namespace twofold {

namespace {

std::uint8_t code_at(int bits, const std::uint8_t* plane, std::size_t i) {
  int code = 0;
  int shift = 0;
  for (const int width : {4, 2, 1}) {
    if ((bits & width) == 0) continue;
    const std::size_t bytes = static_cast<std::size_t>(kGroupColumns * width / 8);
    const int field = width == 1 ? plane[i / 8] >> (i % 8)
                                 : plane[i % bytes] >> (i / bytes * static_cast<std::size_t>(width));
    code |= (field & ((1 << width) - 1)) << shift;
    shift += width;
    plane += bytes;
  }
  return static_cast<std::uint8_t>(code);
}

bool next_bit(PlaneCursor& cursor, std::size_t level) {
  const std::uint64_t bit = cursor.level_bit[level]++;
  return (cursor.level[level][bit >> 3] >> (bit & 7) & 1) != 0;
}

/// The reference that the others must match. A group takes no more than 57 bits of a level, which is what a
/// window of 8 bytes holds; what a longer one (in a broken chunk) would get is 0.
void decode_group(const PlaneClass& parameters, PlaneCursor& cursor, std::int8_t* out) {
  std::array<std::uint8_t, 64> symbols{};
  for (std::size_t i = 0; i < symbols.size(); ++i) {
    const int code = code_at(parameters.code_bits(), cursor.plane, i);
    symbols[i] = static_cast<std::uint8_t>(code >> parameters.low_bits);
    out[i] = static_cast<std::int8_t>(code & ((1 << parameters.low_bits) - 1));
  }
  for (int j = 0; j < parameters.levels; ++j) {
    const auto level = static_cast<std::size_t>(j);
    const int leaves = parameters.leaves[level];
    const std::uint64_t window_end = (cursor.level_bit[level] & ~std::uint64_t{7}) + 64;
    for (std::uint8_t& symbol : symbols) {
      if (symbol < leaves) continue;
      if (cursor.level_bit[level] >= window_end) {
        ++cursor.level_bit[level];
      } else if (next_bit(cursor, level)) {
        symbol = static_cast<std::uint8_t>(symbol + parameters.step[level]);
      }
    }
  }
  for (std::size_t i = 0; i < symbols.size(); ++i) {
    const int value = parameters.root_bits == 0 ? 0 : parameters.values[symbols[i]];
    out[i] = static_cast<std::int8_t>(out[i] + value + parameters.base);
  }
}

void decode(const PlaneClass& parameters, std::size_t rows, std::size_t groups, PlaneCursor& cursor,
            std::int8_t* out, std::size_t stride) {
  for (std::size_t row = 0; row < rows; ++row) {
    std::int8_t* to = out + row * stride;
    for (std::size_t g = 0; g < groups; ++g, to += kGroupColumns) {
      if (parameters.raw()) {
        for (std::size_t i = 0; i < kGroupColumns; ++i) to[i] = static_cast<std::int8_t>(cursor.plane[i]);
      } else {
        decode_group(parameters, cursor, to);
      }
      cursor.plane += parameters.group_bytes();
    }
  }
}

void spread(const std::uint8_t* mask, const std::int8_t* nonzero, std::size_t count, std::int8_t* out) {
  for (std::size_t i = 0; i < count; ++i) {
    out[i] = (mask[i / 8] >> (i % 8) & 1) != 0 ? *nonzero++ : std::int8_t{0};
  }
}

/// Adds corrections to decoded rows.
struct CorrectedRows {
  std::int8_t* row;
  std::size_t stride;

  void add(std::uint64_t column, std::int32_t difference) {
    row[column] = static_cast<std::int8_t>(row[column] + difference);
  }
  void next_row() { row += stride; }
};

}  // namespace

const PlaneRows& plane_rows_scalar() {
  static const PlaneRows table = {.decode = decode, .spread = spread};
  return table;
}

const PlaneRows& plane_rows([[maybe_unused]] Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::kAvx512) return plane_rows_avx512();
  if (isa == Isa::kAvx2 || isa == Isa::kAvx2Vnni) return plane_rows_avx2();
#elif defined(__aarch64__)
  if (isa == Isa::kNeon || isa == Isa::kNeonDot) return plane_rows_neon();
#endif
  return plane_rows_scalar();
}

void correct_decoded(const PlaneTable& table, PlaneCursor& cursor, std::size_t count, std::size_t groups,
                     std::int8_t* out) {
  CorrectedRows corrected{out, groups * kGroupColumns};
  correct_rows(table, cursor, count, groups, corrected);
}

void decode_plane_rows(const PlaneTable& table, const PlaneRows& rows, PlaneCursor& cursor, std::size_t count,
                       std::int8_t* out) {
  const std::size_t row_groups = table.row_groups();
  const std::size_t stride = row_groups * kGroupColumns;
  std::size_t first = 0;
  for (std::size_t c = 0; c < table.classes.size(); ++c) {
    rows.decode(table.classes[c], count, table.groups(c), cursor, out + first, stride);
    first += table.groups(c) * kGroupColumns;
  }
  correct_decoded(table, cursor, count, row_groups, out);
}

}  // namespace twofold
