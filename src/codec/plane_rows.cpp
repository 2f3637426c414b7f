#include "codec/plane_rows.h"

#include "codec/plane_correction.h"

namespace twofold {

namespace {

/// Adds the fields of one sub-plane to the codes.
template <int kWidth>
void unpack(const std::uint8_t*& plane, int shift, std::uint8_t* codes) {
  constexpr std::size_t kBytes = kGroupColumns * kWidth / 8;
  for (std::size_t field = 0; field < 8 / kWidth; ++field) {
    for (std::size_t byte = 0; byte < kBytes; ++byte) {
      // One bit each: a bitmap in the order of the weights. Else byte i has the weights i, i + kBytes, ...
      std::uint8_t& code = codes[kWidth == 1 ? 8 * byte + field : byte + kBytes * field];
      const int value = plane[byte] >> (field * kWidth) & ((1 << kWidth) - 1);
      code = static_cast<std::uint8_t>(code | value << shift);
    }
  }
  plane += kBytes;
}

/// The reference that the others must match. A group takes at most what a window of 8 bytes holds; what more
/// would get (in a broken chunk) is 0.
void decode_group(const PlaneClass& parameters, PlaneCursor& cursor, std::int8_t* out) {
  std::uint8_t codes[kGroupColumns] = {};
  const std::uint8_t* plane = cursor.plane;
  const int bits = parameters.code_bits();
  if ((bits & 4) != 0) unpack<4>(plane, 0, codes);
  if ((bits & 2) != 0) unpack<2>(plane, bits & 4, codes);
  if ((bits & 1) != 0) unpack<1>(plane, bits & 6, codes);
  const int low_bits = parameters.low_bits;
  for (int j = 0; j < parameters.levels; ++j) {
    const auto level = static_cast<std::size_t>(j);
    const int first = parameters.leaves[level] << low_bits;
    const int step = parameters.step[level] << low_bits;
    std::uint64_t& position = cursor.level_bit[level];
    std::uint64_t window = 0;
    for (int i = 8; i-- > 0;)
      window = window << 8 | cursor.level[level][(position >> 3) + static_cast<unsigned>(i)];
    window >>= position & 7;
    for (std::uint8_t& code : codes) {
      const std::uint64_t on = code >= first ? 1 : 0;
      code = static_cast<std::uint8_t>(code + static_cast<int>(on & window) * step);
      window >>= on;
      position += on;
    }
  }
  if (parameters.root_bits == 0) {
    for (std::size_t i = 0; i < kGroupColumns; ++i)
      out[i] = static_cast<std::int8_t>(codes[i] + parameters.base);
  } else {
    for (std::size_t i = 0; i < kGroupColumns; ++i) {
      out[i] = static_cast<std::int8_t>(parameters.by_code[codes[i]] + parameters.base);
    }
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
