// The codec `quad`: one look-up of 12 bits yields four weights. Made for GPUs; docs/quad.md.

#include <algorithm>
#include <cstring>

#include "base/aligned.h"
#include "base/error.h"
#include "codec/builtin.h"
#include "codec/quad_code.h"
#include "codec/quad_decoder.h"
#include "codec/quad_planner.h"

namespace twofold {

namespace {

constexpr std::size_t kMaxClasses = 8;
constexpr std::size_t kTileGroups = 32;
constexpr double kTileBits = 600;  // lengths, place, ends of the lanes' corrections

/// Reads a lane's stream for the reference: any position, zeros behind the end.
class LaneBits {
 public:
  LaneBits(std::span<const std::uint8_t> bytes, std::size_t position) : bytes_(bytes), position_(position) {}

  unsigned peek(int bits) const {
    unsigned value = 0;
    for (int i = 0; i < bits; ++i) {
      const std::size_t at = position_ + static_cast<std::size_t>(i);
      if (at < 8 * bytes_.size()) value |= (bytes_[at / 8] >> (at % 8) & 1U) << i;
    }
    return value;
  }
  unsigned take(int bits) {
    const unsigned value = peek(bits);
    position_ += static_cast<std::size_t>(bits);
    return value;
  }
  int take_signed(int bits) {
    const auto value = static_cast<int>(take(bits));
    return value < 1 << (bits - 1) ? value : value - (1 << bits);
  }
  std::size_t position() const { return position_; }

 private:
  std::span<const std::uint8_t> bytes_;
  std::size_t position_;
};

/// The reference that the lanes must match. Returns the position behind the lane's stream.
std::size_t decode_lane(const QuadClass& c, std::span<const std::uint32_t> lookup, const QuadTile& tile,
                        const std::uint8_t* planes, std::size_t lane, LaneBits bits, std::int8_t* out,
                        std::size_t stride) {
  std::vector<std::int8_t*> weights;  // of the lane, in their order
  for (std::size_t s = 0; s < 4 * tile.groups; ++s) {
    for (std::size_t row = lane / 4; row < tile.rows; row += 8) {
      const std::uint32_t entry = lookup[bits.peek(kQuadCodeBits)];
      bits.take(static_cast<int>(entry & 31));
      for (std::size_t i = 0; i < 4; ++i) {
        const unsigned symbol = entry >> (8 * i + 5) & 7;
        const std::uint8_t* plane = planes;
        unsigned low = 0;
        int low_width = 0;
        for (const unsigned width : {4U, 2U, 1U}) {
          if ((static_cast<unsigned>(c.low_bits) & width) == 0) continue;
          const std::size_t per_word = 8 / width;
          const std::size_t word = (s / per_word * tile.rows + row) * 4 + lane % 4;
          const unsigned field = plane[4 * word + i] >> (width * (s % per_word)) & ((1U << width) - 1);
          low |= field << low_width;
          low_width += static_cast<int>(width);
          plane += (tile.groups * width + 1) / 2 * 16 * tile.rows;
        }
        std::int8_t* const weight = out + row * stride + 16 * s + 4 * (lane % 4) + i;
        *weight = static_cast<std::int8_t>(c.base + static_cast<int>(symbol << c.low_bits | low));
        weights.push_back(weight);
      }
    }
  }
  const unsigned bridge = (1U << c.gap_bits) - 1;
  for (std::size_t next = 0; next < weights.size();) {
    const unsigned gap = bits.take(c.gap_bits);
    next += gap;
    if (gap == bridge) continue;
    if (next >= weights.size()) break;
    int difference = bits.take_signed(c.delta_bits);
    if (difference == 0) difference = bits.take_signed(kQuadLongDeltaBits);
    *weights[next] = static_cast<std::int8_t>(*weights[next] + difference);
    ++next;
  }
  return bits.position();
}

std::uint32_t read32(const std::uint8_t* bytes) {
  std::uint32_t value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

/// What a class takes, quick to compute: its entropy and its parameters.
double class_bits(const Histogram& histogram) {
  double total = 0;
  for (const std::uint64_t count : histogram) total += static_cast<double>(count);
  return order0_entropy(histogram) * total + 8 * 21;
}

/// Weights of a lane in most tiles of a class.
double lane_weights(std::size_t groups) {
  return static_cast<double>(std::min(groups, kTileGroups)) * kQuadTileRows * kGroupColumns / kQuadLanes;
}

class QuadCodec : public Codec {
 public:
  std::string_view name() const override { return "quad"; }

  std::vector<std::uint8_t> make_table(std::span<const std::int8_t> weights,
                                       std::int64_t cols) const override {
    std::vector<std::uint8_t> out;
    if (weights.empty()) return out;
    QuadTable table;
    table.tile_groups = kTileGroups;
    const double tile_rows = static_cast<double>(weights.size()) / static_cast<double>(cols) / kQuadTileRows;
    table.columns = make_column_classes(weights, cols, kMaxClasses, [&](const Histogram& histogram) {
      return class_bits(histogram) + kTileBits * tile_rows;
    });
    const std::vector<Histogram> histograms = class_histograms(weights, cols, table.columns);
    for (std::size_t c = 0; c < histograms.size(); ++c) {
      table.classes.push_back(plan_quad_class(histograms[c], lane_weights(table.groups(c))));
    }
    write_quad_table(table, out);
    return out;
  }

  void encode(std::span<const std::uint8_t> table, std::span<const std::int8_t> chunk, std::int64_t cols,
              std::vector<std::uint8_t>& out) const override {
    if (chunk.empty()) return;
    const QuadTable parsed = read_quad_table(table, cols);
    std::vector<std::int8_t> sorted(chunk.size());
    columns_to_classes(parsed.columns, chunk, sorted);
    write_quad_chunk(parsed, chunk.size() / static_cast<std::size_t>(cols), sorted, out);
  }

  std::unique_ptr<Decoder> make_decoder(std::span<const std::uint8_t> table, std::int64_t cols,
                                        Isa isa) const override {
    const auto path = isa == Isa::kScalar ? QuadDecoder::Path::kReference : QuadDecoder::Path::kLanes;
    return std::make_unique<QuadDecoder>(table, cols, path);
  }
};

}  // namespace

QuadDecoder::QuadDecoder(std::span<const std::uint8_t> table, std::int64_t cols, Path path) : path_(path) {
  if (table.empty()) return;
  cols_ = static_cast<std::size_t>(cols);
  table_ = read_quad_table(table, cols);
  for (const QuadClass& c : table_.classes) lookup_.push_back(quad_lookup(c));
}

device::QuadClassView QuadDecoder::class_view(std::size_t c) const {
  const QuadClass& parameters = table_.classes[c];
  return {lookup_[c].data(), parameters.low_bits, parameters.base, parameters.gap_bits,
          parameters.delta_bits};
}

std::vector<QuadDecoder::OpenTile> QuadDecoder::open(std::span<const std::uint8_t> coded,
                                                     std::size_t rows) const {
  // A row has at least one tile, with bytes of its own: a number of rows that memory could not hold ends
  // here.
  if (coded.size() / 4 < (rows + kQuadTileRows - 1) / kQuadTileRows) {
    fail("quad chunk: {} bytes for {} rows", coded.size(), rows);
  }
  const std::vector<QuadTile> tiles = quad_tiles(table_, rows);
  if (coded.size() / 4 < tiles.size()) {
    fail("quad chunk: {} bytes, expected the ends of {} tiles", coded.size(), tiles.size());
  }
  const std::span<const std::uint8_t> data = coded.subspan(4 * tiles.size());
  std::vector<OpenTile> result;
  result.reserve(tiles.size());
  std::size_t begin = 0;
  for (std::size_t i = 0; i < tiles.size(); ++i) {
    const QuadTile& tile = tiles[i];
    const std::size_t end = read32(coded.data() + 4 * i);
    const auto tile_rows = static_cast<std::uint32_t>(tile.rows);
    const auto groups = static_cast<std::uint32_t>(tile.groups);
    const std::uint32_t first = end > begin && end <= data.size() && end - begin >= 4
                                    ? read32(data.data() + begin)
                                    : ~std::uint32_t{0};
    if (first >> 16 > 2) fail("quad chunk: tile {} begins with {}, expected less than {}", i, first, 3 << 16);
    const std::uint32_t lengths = device::quad_lengths_words(first, tile_rows);
    const std::uint32_t head =
        lengths + device::quad_low_words(tile_rows, groups, table_.classes[tile.c].low_bits);
    if ((end - begin) / 4 < head) {
      fail("quad chunk: tile {} from byte {} to {} of {}, expected {} or more bytes", i, begin, end,
           data.size(), 4 * head);
    }
    device::QuadTileView view{data.data() + begin, lengths, head, 0, tile_rows, groups};
    std::size_t bits = 0;
    for (std::uint32_t lane = 0; lane < kQuadLanes; ++lane) bits += device::quad_lane_bits(view, lane);
    if (end - begin != 4 * (head + (bits + 31) / 32)) {
      fail("quad chunk: tile {} of {} bytes, expected {} and {} bits", i, end - begin, 4 * head, bits);
    }
    view.stream_words = static_cast<std::uint32_t>((bits + 31) / 32);
    if (bits % 32 != 0 && read32(data.data() + end - 4) >> (bits % 32) != 0) {
      fail("quad chunk: bits set behind the streams of tile {}", i);
    }
    result.push_back({tile, view});
    begin = end;
  }
  if (begin != data.size()) fail("quad chunk: {} bytes behind the tiles", data.size() - begin);
  return result;
}

void QuadDecoder::decode_tile(const OpenTile& opened, std::int8_t* out, std::size_t stride) const {
  const QuadTile& tile = opened.tile;
  const std::uint8_t* const streams = opened.view.bytes + std::size_t{4} * opened.view.stream_at;
  std::uint32_t start = 0;
  for (std::uint32_t lane = 0; lane < tile.lanes(); ++lane) {
    const std::uint32_t length = device::quad_lane_bits(opened.view, lane);
    bool whole;
    if (path_ == Path::kReference) {
      const std::uint8_t* const planes = opened.view.bytes + std::size_t{4} * opened.view.lengths_words;
      const LaneBits bits({streams, std::size_t{4} * opened.view.stream_words}, start);
      whole = decode_lane(table_.classes[tile.c], lookup_[tile.c], tile, planes, lane, bits, out, stride) ==
              std::size_t{start} + length;
    } else {
      const device::QuadClassView c = class_view(tile.c);
      device::QuadStore store(c, lane, out, stride);
      whole = device::quad_lane_any(c, opened.view, lane, start, length, store);
    }
    if (!whole) fail("quad chunk: lane {} does not take its {} bits", lane, length);
    start += length;
  }
}

void QuadDecoder::decode_in_order(std::span<const std::uint8_t> coded, std::span<std::int8_t> out) const {
  if (out.empty()) {
    if (!coded.empty()) fail("quad chunk: {} bytes for no weights", coded.size());
    return;
  }
  if (cols_ == 0 || out.size() % cols_ != 0) {
    fail("quad chunk: {} weights, expected whole rows of {}", out.size(), cols_);
  }
  const std::vector<OpenTile> tiles = open(coded, out.size() / cols_);
  const std::size_t stored = table_.row_groups() * kGroupColumns;
  thread_local AlignedVector<std::int8_t> buffer;
  if (stored != cols_ && buffer.size() < kQuadTileRows * stored) buffer.resize(kQuadTileRows * stored);
  for (std::size_t i = 0; i < tiles.size(); ++i) {
    const QuadTile& tile = tiles[i].tile;
    if (stored == cols_) {
      decode_tile(tiles[i], out.data() + tile.row * cols_ + tile.column, stored);
      continue;
    }
    decode_tile(tiles[i], buffer.data() + tile.column, stored);
    const bool row_ends = i + 1 == tiles.size() || tiles[i + 1].tile.row != tile.row;
    for (std::size_t r = 0; row_ends && r < tile.rows; ++r) {
      std::memcpy(out.data() + (tile.row + r) * cols_, buffer.data() + r * stored, cols_);
    }
  }
}

void QuadDecoder::decode(std::span<const std::uint8_t> coded, std::span<std::int8_t> out) const {
  if (table_.columns.order.empty() || out.empty()) return decode_in_order(coded, out);
  thread_local AlignedVector<std::int8_t> sorted;
  if (sorted.size() < out.size()) sorted.resize(out.size());
  const auto in_order = std::span(sorted).first(out.size());
  decode_in_order(coded, in_order);
  columns_from_classes(table_.columns, in_order, out);
}

const Codec& quad_codec() {
  static const QuadCodec codec;
  return codec;
}

}  // namespace twofold
