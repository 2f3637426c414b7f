#include "codec/plane_loops_neon.h"
#include "codec/plane_rows.h"

namespace twofold {

namespace {

/// Stores values plus base.
struct StoreSink {
  std::int8_t* out;
  std::size_t gap;  // between the end of a row and the next row
  uint8x16_t base;

  static std::size_t groups_per_sum(int) { return std::numeric_limits<std::size_t>::max(); }

  void begin() {}
  void end() {}
  void add(const Quad& values) {
    store_quad(reinterpret_cast<std::uint8_t*>(out),
               each([this](uint8x16_t value) { return vaddq_u8(value, base); }, values));
    out += kGroupColumns;
  }
  void next_row() { out += gap; }
};

void decode(const PlaneClass& parameters, std::size_t rows, std::size_t groups, PlaneCursor& cursor,
            std::int8_t* out, std::size_t stride) {
  const std::size_t width = groups * kGroupColumns;
  if (parameters.raw()) {
    for (std::size_t row = 0; row < rows; ++row, cursor.plane += width) {
      std::memcpy(out + row * stride, cursor.plane, width);
    }
    return;
  }
  StoreSink sink{out, stride - width, splat(parameters.base)};
  class_groups(parameters, rows, groups, cursor, sink);
}

/// Eight weights of which `bitmap` has a byte.
void spread_eight(std::uint64_t bitmap, int byte, const std::int8_t* nonzero, std::int8_t* out) {
  vst1_s8(out + 8 * byte, vtbl1_s8(vld1_s8(nonzero), vreinterpret_s8_u8(kRanks.of_byte(bitmap, byte))));
}

void spread(const std::uint8_t* mask, const std::int8_t* nonzero, std::size_t count, std::int8_t* out) {
  for (std::size_t i = 0; i < count; i += kGroupColumns, mask += 8, out += kGroupColumns) {
    const std::uint64_t bitmap = load64(mask);
    // Byte k: how many are nonzero in the first k + 1 bytes of the bitmap.
    const std::uint64_t counts =
        vget_lane_u64(vreinterpret_u64_u8(vcnt_u8(vcreate_u8(bitmap))), 0) * 0x0101010101010101;
    for (int byte = 0; byte < 8; ++byte) {
      spread_eight(bitmap, byte, nonzero + (counts << 8 >> (8 * byte) & 0xff), out);
    }
    nonzero += counts >> 56;
  }
}

}  // namespace

const PlaneRows& plane_rows_neon() {
  static const PlaneRows table = {.decode = decode, .spread = spread};
  return table;
}

}  // namespace twofold
