#pragma once

#include "codec/device/host_device.h"

// A lane's part of a tile of the codec `quad` (docs/quad.md), for a warp of 32 lanes: lane 4 g + t has rows g
// and g + 8 of a tile, if it has them, and of every 16 columns four, 4 t ... 4 t + 3. That is the order of
// the left operand of mma.m16n8k32.
namespace twofold::device {

/// What lanes need of a class.
struct QuadClassView {
  const std::uint32_t* lookup;  // 4096 entries of quad_lookup
  std::int32_t low_bits;        // 0-5
  std::int32_t base;
  std::int32_t gap_bits;
  std::int32_t delta_bits;
};

/// A tile whose size has been checked: lengths, low planes, streams.
struct QuadTileView {
  const std::uint8_t* bytes;    // of the tile, on a GPU at a multiple of 4
  std::uint32_t lengths_words;  // in front of the low planes
  std::uint32_t stream_at;      // word where the streams begin
  std::uint32_t stream_words;   // that there are
  std::uint32_t rows;           // 1-16
  std::uint32_t groups;         // of 64 columns, 1-32
};

TWOFOLD_HD std::uint32_t quad_tile_lanes(std::uint32_t rows) {
  return 4 * (rows < 8 ? rows : 8);
}

/// Words of a tile's lengths, whose first word says how they are stored.
TWOFOLD_HD std::uint32_t quad_lengths_words(std::uint32_t first_word, std::uint32_t rows) {
  return 1 + quad_tile_lanes(rows) / 4 * (first_word >> 16);
}

/// Words of its low planes.
TWOFOLD_HD std::uint32_t quad_low_words(std::uint32_t rows, std::uint32_t groups, std::int32_t low_bits) {
  std::uint32_t words = 0;
  if ((low_bits & 4) != 0) words += 2 * groups;
  if ((low_bits & 2) != 0) words += groups;
  if ((low_bits & 1) != 0) words += (groups + 1) / 2;
  return 4 * rows * words;
}

/// Bits of a lane's stream.
TWOFOLD_HD std::uint32_t quad_lane_bits(const QuadTileView& tile, std::uint32_t lane) {
  if (lane >= quad_tile_lanes(tile.rows)) return 0;
  const std::uint32_t first = load_word(tile.bytes, 0);
  const std::uint32_t least = first & 0xffff;
  const std::uint32_t width = first >> 16;  // bytes; 0 to 2
  if (width == 0) return least;
  const std::uint32_t at = lane * width;
  return least + (load_word(tile.bytes, 1 + at / 4) >> (at % 4 * 8) & ((1U << (8 * width)) - 1));
}

/// The low bits of a row's weights in a group: four words of bytes, each at the place below the symbol.
template <int kLow>
struct QuadLow {
  std::uint32_t four[2];
  std::uint32_t two;
  std::uint32_t one;

  TWOFOLD_HD std::uint32_t at(int s) const {
    constexpr int kTop = 5 - kLow;  // place of the lowest bit
    std::uint32_t bytes = 0;
    if ((kLow & 4) != 0) bytes |= (four[s / 2] >> (s % 2 * 4) & 0x0f0f0f0fU) << kTop;
    if ((kLow & 2) != 0) bytes |= (two >> (2 * s) & 0x03030303U) << (kTop + (kLow & 4));
    if ((kLow & 1) != 0) bytes |= (one >> s & 0x01010101U) << (kTop + (kLow & 6));
    return bytes;
  }
};

/// Goes through the planes of a lane's rows, group by group.
template <int kLow>
class QuadPlanes {
 public:
  TWOFOLD_HD QuadPlanes(const QuadTileView& tile, std::uint32_t lane)
      : at_(tile.bytes + std::size_t{4} * (tile.lengths_words + lane)),  // 4 row + t
        step_(std::size_t{16} * tile.rows),
        two_((kLow & 4) != 0 ? 2 * tile.groups * step_ : 0),
        one_(two_ + ((kLow & 2) != 0 ? tile.groups * step_ : 0)) {}

  /// Those of the first row, or of the second.
  TWOFOLD_HD QuadLow<kLow> load(std::uint32_t group, bool second) const {
    QuadLow<kLow> low{};
    const std::uint8_t* const at = at_ + (second ? 4 * 32 : 0);
    if ((kLow & 4) != 0) {
      low.four[0] = load_word(at + 2 * group * step_, 0);
      low.four[1] = load_word(at + (2 * group + 1) * step_, 0);
    }
    if ((kLow & 2) != 0) low.two = load_word(at + two_ + group * step_, 0);
    if ((kLow & 1) != 0) low.one = load_word(at + one_ + group / 2 * step_, 0) >> (group % 2 * 4);
    return low;
  }

 private:
  const std::uint8_t* at_;
  std::size_t step_;  // bytes of a plane's words for all rows
  std::size_t two_;   // where the other planes begin
  std::size_t one_;
};

/// Where the table of a class lies in a kernel's shared memory: the place of an entry is an or instead of a
/// sum.
inline constexpr std::uint32_t kQuadTableBytes = 4 * 4096;

/// The code words of a lane. The window is kept two bits early, so that an index comes out as a multiple
/// of 4. Where not kChecked, words behind the end are read as they are: 3 words more than 12 bits for each
/// quad; and the table lies at a multiple of its size. A stream that takes such bits is not as long as it
/// says in either case.
template <bool kChecked>
class QuadBits {
 public:
  TWOFOLD_HD QuadBits(const QuadTileView& tile, std::uint32_t position)
      : words_(tile.bytes +
               std::size_t{4} * (tile.stream_at - 1)),  // there are words in front of the streams
        count_(tile.stream_words + 1),
        position_(position + 30) {
    low_ = word(position_ / 32);
    high_ = word(position_ / 32 + 1);
    ahead_ = word(position_ / 32 + 2);
#if defined(__CUDA_ARCH__)
    asm volatile("" : "+l"(words_));  // to keep it in registers
#endif
  }

  /// Two look-ups.
  TWOFOLD_HD void take(const std::uint32_t* lookup, std::uint32_t& a, std::uint32_t& b) {
    constexpr std::uint32_t kIndex = kQuadTableBytes - 4;
    const std::uint32_t window = funnel_shift(low_, high_, position_);
    a = entry(lookup, window & kIndex);
    b = entry(lookup, window >> (a & 31) & kIndex);
    const std::uint32_t position = position_ + ((a + b) & 31);  // at most 24
    const std::uint32_t crossed = (position ^ position_) & 32;
    position_ = position;
    low_ = crossed != 0 ? high_ : low_;
    high_ = crossed != 0 ? ahead_ : high_;
#if defined(__CUDA_ARCH__)
    if (!kChecked) {
      // The compiler would load elsewhere and move, and take five instructions for the address.
      asm volatile(
          "{\n.reg .pred p;\n.reg .b32 i;\n.reg .b64 at;\nsetp.ne.u32 p, %2, 0;\nshr.u32 i, %3, 5;\n"
          "mad.wide.u32 at, i, 4, %1;\n@p ld.global.b32 %0, [at + 8];\n}"
          : "+r"(ahead_)
          : "l"(words_), "r"(crossed), "r"(position));
      return;
    }
#endif
    if (crossed != 0) ahead_ = word(position / 32 + 2);
  }
  TWOFOLD_HD std::uint32_t position() const {
    return position_ - 30;
  }

 private:
  TWOFOLD_HD static std::uint32_t entry(const std::uint32_t* lookup, std::uint32_t offset) {
#if defined(__CUDA_ARCH__)
    if (!kChecked) {
      std::uint32_t value;
      const auto table = static_cast<std::uint32_t>(__cvta_generic_to_shared(lookup));
      asm("ld.shared.b32 %0, [%1];" : "=r"(value) : "r"(table | offset));
      return value;
    }
#endif
    return load_word(reinterpret_cast<const std::uint8_t*>(lookup) + offset, 0);
  }
  TWOFOLD_HD std::uint32_t word(std::uint32_t i) const {
    return !kChecked || i < count_ ? load_word(words_, i) : 0;
  }

  const std::uint8_t* words_;
  std::uint32_t count_;
  std::uint32_t position_;
  std::uint32_t low_;
  std::uint32_t high_;
  std::uint32_t ahead_;
};

/// Quads of a lane in their order: sink.quad(second row?, quad of the row, bytes), where a byte is
/// (weight - base) * 2^(5 - low bits) before corrections.
template <int kLow, bool kTwoRows, bool kChecked, typename Sink>
TWOFOLD_HD void quad_lane_codes(const std::uint32_t* lookup, const QuadTileView& tile, std::uint32_t lane,
                                QuadBits<kChecked>& bits, Sink& sink) {
  constexpr std::uint32_t kHigh = 0xe0e0e0e0U;
  const QuadPlanes<kLow> planes(tile, lane);
  for (std::uint32_t group = 0; group < tile.groups; ++group) {
    const QuadLow<kLow> low = planes.load(group, false);
    std::uint32_t a;
    std::uint32_t b;
    if (kTwoRows) {
      const QuadLow<kLow> low8 = planes.load(group, true);
      TWOFOLD_UNROLL
      for (int s = 0; s < 4; ++s) {
        bits.take(lookup, a, b);
        sink.quad(false, 4 * group + static_cast<std::uint32_t>(s), (a & kHigh) | low.at(s));
        sink.quad(true, 4 * group + static_cast<std::uint32_t>(s), (b & kHigh) | low8.at(s));
      }
    } else {
      TWOFOLD_UNROLL
      for (int s = 0; s < 4; s += 2) {
        bits.take(lookup, a, b);
        sink.quad(false, 4 * group + static_cast<std::uint32_t>(s), (a & kHigh) | low.at(s));
        sink.quad(false, 4 * group + static_cast<std::uint32_t>(s) + 1, (b & kHigh) | low.at(s + 1));
      }
    }
  }
}

/// The corrections behind the quads: sink.correct(second row?, column of the tile, difference).
template <typename Sink>
TWOFOLD_HD void quad_lane_corrections(const QuadClassView& c, const QuadTileView& tile, std::uint32_t lane,
                                      bool two_rows, WordBits& bits, Sink& sink) {
  const std::uint32_t count = tile.groups * (two_rows ? 32 : 16);
  const auto gap_bits = static_cast<std::uint32_t>(c.gap_bits);
  const auto delta_bits = static_cast<std::uint32_t>(c.delta_bits);
  const std::uint32_t bridge = (1U << gap_bits) - 1;
  std::uint32_t next = 0;
  while (next < count) {
    const std::uint32_t gap = bits.take(gap_bits);
    next += gap;
    if (gap == bridge) continue;
    if (next >= count) break;
    std::uint32_t width = delta_bits;
    std::uint32_t delta = bits.take(width);
    if (delta == 0) {
      width = 9;
      delta = bits.take(width);
    }
    // Shifting it to the top extends its sign on the way back.
    const std::int32_t difference = static_cast<std::int32_t>(delta << (32 - width)) >> (32 - width);
    const std::uint32_t quad = next / 4;
    const bool second = two_rows && quad % 2 == 1;
    const std::uint32_t s = two_rows ? quad / 2 : quad;
    sink.correct(second, 16 * s + 4 * (lane % 4) + next % 4, difference);
    ++next;
  }
}

/// All of a lane whose stream has `length` bits from bit `start` of the streams on. False when the weights do
/// not take just these.
template <int kLow, bool kChecked, typename Sink>
TWOFOLD_HD bool quad_lane(const QuadClassView& c, const QuadTileView& tile, std::uint32_t lane,
                          std::uint32_t start, std::uint32_t length, Sink& sink) {
  if (lane >= quad_tile_lanes(tile.rows)) return true;
  const bool two_rows = lane / 4 + 8 < tile.rows;
  QuadBits<kChecked> codes(tile, start);
  if (two_rows) {
    quad_lane_codes<kLow, true>(c.lookup, tile, lane, codes, sink);
  } else {
    quad_lane_codes<kLow, false>(c.lookup, tile, lane, codes, sink);
  }
  WordBits bits(tile.bytes + std::size_t{4} * tile.stream_at, tile.stream_words, codes.position());
  quad_lane_corrections(c, tile, lane, two_rows, bits, sink);
  return bits.position() - start == length;
}

/// The same for a number of low bits known at run time only, for the CPU.
template <typename Sink>
TWOFOLD_HD bool quad_lane_any(const QuadClassView& c, const QuadTileView& tile, std::uint32_t lane,
                              std::uint32_t start, std::uint32_t length, Sink& sink) {
  switch (c.low_bits) {
    case 0:
      return quad_lane<0, true>(c, tile, lane, start, length, sink);
    case 1:
      return quad_lane<1, true>(c, tile, lane, start, length, sink);
    case 2:
      return quad_lane<2, true>(c, tile, lane, start, length, sink);
    case 3:
      return quad_lane<3, true>(c, tile, lane, start, length, sink);
    case 4:
      return quad_lane<4, true>(c, tile, lane, start, length, sink);
    default:
      return quad_lane<5, true>(c, tile, lane, start, length, sink);
  }
}

/// Stores a lane's weights. Rows have whole groups of columns.
class QuadStore {
 public:
  /// `out`: the weight at the tile's first row and column.
  TWOFOLD_HD QuadStore(const QuadClassView& c, std::uint32_t lane, std::int8_t* out, std::size_t stride)
      : shift_(5 - c.low_bits),
        mask_(four_bytes(255 >> shift_)),
        base_(four_bytes(c.base)),
        row_(out + lane / 4 * stride),
        eight_rows_(8 * stride),
        first_(lane % 4 * 4) {}

  TWOFOLD_HD void quad(bool second, std::uint32_t s, std::uint32_t bytes) {
    store_word(row_ + (second ? eight_rows_ : 0) + 16 * s + first_,
               add_bytes(bytes >> shift_ & mask_, base_));
  }
  TWOFOLD_HD void correct(bool second, std::uint32_t column, std::int32_t difference) {
    std::int8_t& weight = row_[(second ? eight_rows_ : 0) + column];
    weight = static_cast<std::int8_t>(weight + difference);
  }

 private:
  std::int32_t shift_;
  std::uint32_t mask_;
  std::uint32_t base_;
  std::int8_t* row_;
  std::size_t eight_rows_;
  std::uint32_t first_;
};

/// Multiplies a lane's weights with kVectors vectors of activations. After the lane, sum[v] and sum8[v] are
/// what it adds to rows lane / 4 and lane / 4 + 8, but for base times the sum of the activations.
template <int kVectors>
class QuadDot {
 public:
  /// `x`: activations of the tile's columns, `stride` from one vector to the next, at multiples of 4.
  TWOFOLD_HD QuadDot(const std::int8_t* x, std::size_t stride, std::uint32_t lane)
      : x_(x), stride_(stride), t_(lane % 4) {}

  TWOFOLD_HD void quad(bool second, std::uint32_t s, std::uint32_t bytes) {
    TWOFOLD_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      const std::uint32_t x = load_word(
          reinterpret_cast<const std::uint8_t*>(x_ + static_cast<std::size_t>(v) * stride_), 4 * s + t_);
      std::int32_t& sum = second ? scaled8_[v] : scaled_[v];
      sum = dot4(bytes, x, sum);
    }
  }
  TWOFOLD_HD void correct(bool second, std::uint32_t column, std::int32_t difference) {
    TWOFOLD_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      const std::int32_t product = difference * x_[static_cast<std::size_t>(v) * stride_ + column];
      if (second) {
        corrected8_[v] += product;
      } else {
        corrected_[v] += product;
      }
    }
  }
  TWOFOLD_HD std::int32_t sum(int v, std::int32_t low_bits) const {
    return (scaled_[v] >> (5 - low_bits)) + corrected_[v];
  }
  TWOFOLD_HD std::int32_t sum8(int v, std::int32_t low_bits) const {
    return (scaled8_[v] >> (5 - low_bits)) + corrected8_[v];
  }

 private:
  const std::int8_t* x_;
  std::size_t stride_;
  std::uint32_t t_;
  std::int32_t scaled_[kVectors] = {};
  std::int32_t scaled8_[kVectors] = {};
  std::int32_t corrected_[kVectors] = {};
  std::int32_t corrected8_[kVectors] = {};
};

/// Gathers the quads of a lane with two rows into left operands of products of 16 x 32 by 32 x 8 bytes:
/// product(block of 32 columns, four words). Corrections go to `correct(second row?, column, difference)`.
template <typename Product, typename Correct>
class QuadTensor {
 public:
  TWOFOLD_HD QuadTensor(Product& product, Correct& correct) : product_(product), correct_(correct) {}

  TWOFOLD_HD void quad(bool second, std::uint32_t s, std::uint32_t bytes) {
    a_[s % 2 * 2 + (second ? 1 : 0)] = bytes;
    if (second && s % 2 == 1) product_(s / 2, a_);
  }
  TWOFOLD_HD void correct(bool second, std::uint32_t column, std::int32_t difference) {
    correct_(second, column, difference);
  }

 private:
  Product& product_;
  Correct& correct_;
  std::uint32_t a_[4] = {};
};

}  // namespace twofold::device
