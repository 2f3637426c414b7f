#include "codec/ans8.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "codec/ans8_chunk.h"
#include "codec/ans8_model.h"
#include "codec/ans8_raw.h"
#include "codec/ans8_tables.h"
#include "codec/ans_serial.h"
#include "codec/bit_stream.h"
#include "codec/builtin.h"
#include "codec/class_order.h"
#include "codec/padded_bytes.h"

namespace twofold {

namespace {

constexpr std::size_t kLanes = kAns8Unit * kAns8Groups;
constexpr std::size_t kMaxStateBytes = kLanes * (3 + 15) / 8;  // 3 bits of length, up to 15 bits
constexpr std::size_t kBatchUnits = Ans8RawReader::kBatch / kAns8Unit;

struct Model {
  ClassOrder order;
  std::vector<Ans8Model> classes;
};

Model read_model(std::span<const std::uint8_t> table, std::int64_t cols) {
  ClassTables tables = read_class_tables(table, cols);
  Model model{ClassOrder(std::move(tables.classes)), {}};
  for (const std::span<const std::uint8_t> part : tables.parts) {
    model.classes.push_back(read_ans8_model(part));
  }
  return model;
}

using LaneBytes = PaddedBytes<kAns8Unit>;

class Ans8Decoder : public Decoder {
 public:
  Ans8Decoder(std::span<const std::uint8_t> table, std::int64_t cols, Ans8LanesFunction lanes)
      : model_(read_model(table, cols)), cols_(static_cast<std::size_t>(cols)), lanes_(lanes) {
    for (const Ans8Model& model : model_.classes) {
      const bool coded = model.kind == Ans8Model::Kind::kCoded;
      tables_.push_back(coded ? make_ans8_tables(model) : Ans8Tables{});
      std::array<std::uint8_t, 256>& owners = owners_.emplace_back();
      for (std::size_t s = 0; s < model.symbols.size(); ++s) {
        const Ans8Symbol& symbol = model.symbols[s];
        std::fill_n(owners.begin() + symbol.start, symbol.frequency, static_cast<std::uint8_t>(s));
      }
    }
  }

  void decode(std::span<const std::uint8_t> coded, std::span<std::int8_t> out) const override {
    if (model_.order.is_matrix_order()) return decode_sorted(coded, out.data(), out.size());
    if (out.size() % cols_ != 0) fail("ans8 chunk: {} weights, expected whole rows of {}", out.size(), cols_);
    const std::span<std::int8_t> sorted = ClassOrder::buffer(out.size());
    decode_sorted(coded, sorted.data(), out.size());
    model_.order.restore(sorted.data(), out);
  }

 private:
  /// The weights in the coded order.
  void decode_sorted(std::span<const std::uint8_t> coded, std::int8_t* out, std::size_t count) const {
    std::size_t begin = 0;
    std::size_t in_lanes = 0;  // weights of the classes with more than one value
    for (std::size_t c = 0; c < model_.classes.size(); ++c) {
      const Ans8Model& model = model_.classes[c];
      const std::size_t weights = model_.order.weights(c, count);
      if (model.kind == Ans8Model::Kind::kEmpty && weights > 0) {
        fail("ans8 chunk: the table is of a tensor without weights");
      }
      if (model.kind == Ans8Model::Kind::kCoded) {
        in_lanes += weights;
      } else {
        std::fill_n(out + begin, weights, static_cast<std::int8_t>(model.low));
      }
      begin += weights;
    }
    if (in_lanes == 0) {
      if (!coded.empty()) fail("ans8 chunk: {} bytes, expected none", coded.size());
      return;
    }
    if (coded.empty()) fail("ans8 chunk: no bytes for {} weights", count);
    const std::size_t tail = std::size_t{coded[0]} * kAns8Unit + in_lanes % kAns8Unit;
    const std::vector<Ans8Region> regions = ans8_regions(model_.order, model_.classes, count, tail);
    if (regions.empty()) fail("ans8 chunk: a tail of {} weights in {}", tail, in_lanes);
    std::array<std::uint16_t, kAns8PayloadWords> payload;
    std::span<const std::uint8_t> rest = coded.subspan(1);
    if (tail < in_lanes) rest = decode_lanes(regions, rest, out, payload);
    AnsSerialDecoder serial({payload.data(), tail < in_lanes ? kAns8PayloadWords : 0}, rest);
    for (const Ans8Region& region : regions) {
      decode_rare(model_.classes[region.c], out + region.begin, region.main, serial);
    }
    for (const Ans8Region& region : regions) {
      std::int8_t* const at = out + region.begin + region.main;
      for (std::size_t i = 0; i < region.tail; ++i) at[i] = decode_weight(region.c, serial);
    }
    if (!serial.finished()) fail("ans8 chunk: {} bytes do not end with {} weights", coded.size(), count);
  }

  /// Decodes what the lanes code. Returns the bytes after it and in `payload` what their last states hold.
  std::span<const std::uint8_t> decode_lanes(std::span<const Ans8Region> regions,
                                             std::span<const std::uint8_t> coded, std::int8_t* out,
                                             std::array<std::uint16_t, kAns8PayloadWords>& payload) const {
    Ans8States states;
    coded = coded.subspan(read_states(coded, states));
    BitReader bits(coded);
    std::vector<std::size_t> fields;  // of each region
    std::size_t raw_bytes = 0;
    for (const Ans8Region& region : regions) {
      const Ans8Model& model = model_.classes[region.c];
      fields.push_back(model.raw_bits == 0 || region.main == 0 ? 0
                       : model.all_raw()                       ? region.main
                                                               : bits.get(std::bit_width(region.main)));
      if (fields.back() > region.main)
        fail("ans8 chunk: raw bits of {} weights in {}", fields.back(), region.main);
      raw_bytes += ans8_raw_bytes(fields.back(), model.raw_bits);
    }
    coded = coded.subspan(bits.finish());
    if (!bits.ok() || raw_bytes > coded.size()) fail("ans8 chunk: its bytes end before those of the lanes");
    std::span<const std::uint8_t> raw = coded.first(raw_bytes);
    coded = coded.subspan(raw_bytes);

    LaneBytes bytes(coded);
    std::size_t group = 0;
    for (std::size_t r = 0; r < regions.size(); ++r) {
      const Ans8Region& region = regions[r];
      const int k = model_.classes[region.c].raw_bits;
      const std::size_t size = ans8_raw_bytes(fields[r], k);
      Ans8Cursor cursor{
          bytes.at(), bytes.end(), nullptr, nullptr, out + region.begin, region.main / kAns8Unit, group};
      if (tables_[region.c].raw_kind == Ans8Raw::kSome) {
        Ans8RawReader reader(raw.first(size), fields[r], k);
        run_some_raw(tables_[region.c], states, cursor, bytes, reader);
      } else {
        cursor.raw = raw.data();
        cursor.raw_end = raw.data() + size;
        run(tables_[region.c], states, cursor, bytes);
      }
      raw = raw.subspan(size);
      group = cursor.group;
    }
    if (bytes.taken() > coded.size()) fail("ans8 chunk: its bytes end before its weights");
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      if (states.high[lane / kAns8Unit][lane % kAns8Unit] != 1) {
        fail("ans8 chunk: lane {} ends in a wrong state", lane);
      }
    }
    for (std::size_t i = 0; i < kAns8PayloadWords; ++i) {
      const std::uint8_t* const low = states.low[2 * i / kAns8Unit].data() + 2 * i % kAns8Unit;
      payload[i] = static_cast<std::uint16_t>(low[0] | low[1] << 8);
    }
    return coded.subspan(bytes.taken());
  }

  /// Returns the bytes read.
  static std::size_t read_states(std::span<const std::uint8_t> coded, Ans8States& states) {
    // A copy with zeros behind it, so that whole words can be read.
    std::array<std::uint8_t, kMaxStateBytes + 2> copy{};
    std::copy_n(coded.data(), std::min(coded.size(), kMaxStateBytes), copy.data());
    const auto get = [&](std::size_t position, int bits) {
      const std::uint8_t* const at = copy.data() + position / 8;
      const std::uint32_t word = at[0] | std::uint32_t{at[1]} << 8 | std::uint32_t{at[2]} << 16;
      return word >> position % 8 & ((1u << bits) - 1);
    };
    std::size_t position = 3 * kLanes;
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const int size = static_cast<int>(get(3 * lane, 3)) + kAns8Bits;
      const std::uint32_t state = 1u << size | get(position, size);
      position += static_cast<std::size_t>(size);
      states.low[lane / kAns8Unit][lane % kAns8Unit] = static_cast<std::uint8_t>(state);
      states.high[lane / kAns8Unit][lane % kAns8Unit] = static_cast<std::uint8_t>(state >> 8);
    }
    const std::size_t bytes = (position + 7) / 8;
    if (bytes > coded.size()) fail("ans8 chunk: {} bytes end within the states", coded.size());
    if (position % 8 != 0 && get(position, static_cast<int>(8 * bytes - position)) != 0) {
      fail("ans8 chunk: bits set behind the states");
    }
    return bytes;
  }

  /// All units of the cursor.
  void run(const Ans8Tables& tables, Ans8States& states, Ans8Cursor& cursor, LaneBytes& bytes) const {
    lanes_(tables, states, cursor);
    bytes.move_to(cursor.bytes);
    if (cursor.units == 0) return;
    const bool raw_left = cursor.raw_end - cursor.raw >= ans8_raw_unit(tables.raw_kind);
    if (raw_left && bytes.go_on_in_copy()) {
      cursor.bytes = bytes.at();
      cursor.end = bytes.end();
      lanes_(tables, states, cursor);
      bytes.move_to(cursor.bytes);
    }
    if (cursor.units > 0) fail("ans8 chunk: its bytes end before its weights");
  }

  /// All units of the cursor, of which some weights have raw bits.
  void run_some_raw(const Ans8Tables& tables, Ans8States& states, Ans8Cursor& cursor, LaneBytes& bytes,
                    Ans8RawReader& reader) const {
    const std::size_t units = cursor.units;
    for (std::size_t done = 0; done < units; done += kBatchUnits) {
      reader.fill();
      cursor.raw = reader.data();
      cursor.raw_end = reader.end() + Ans8RawReader::kPadding;
      cursor.units = std::min(kBatchUnits, units - done);
      run(tables, states, cursor, bytes);
      if (!reader.advance(cursor.raw)) fail("ans8 chunk: more weights with raw bits than there are raw bits");
    }
    if (!reader.finished()) fail("ans8 chunk: fewer weights with raw bits than there are raw bits");
  }

  static std::int8_t decode_index(const Ans8Model& model, AnsSerialDecoder& serial) {
    const std::uint32_t slot = serial.slot();
    const std::size_t count = model.rare.size();
    const std::size_t index = ((slot + 1) * count - 1) >> kAnsBits;
    const std::uint32_t start = ans_even_start(index, count);
    serial.advance(ans_even_start(index + 1, count) - start, slot - start);
    return model.rare[index];
  }

  std::int8_t decode_weight(std::size_t c, AnsSerialDecoder& serial) const {
    constexpr int kShift = kAnsBits - kAns8Bits;
    const Ans8Model& model = model_.classes[c];
    const std::uint32_t slot = serial.slot();
    const int s = owners_[c][slot >> kShift];
    const Ans8Symbol& symbol = model.symbols[static_cast<std::size_t>(s)];
    serial.advance(std::uint32_t{symbol.frequency} << kShift, slot - (std::uint32_t{symbol.start} << kShift));
    if (s == model.escape) return decode_index(model, serial);
    if (!symbol.raw) return symbol.base;
    const int unused = kAnsBits - model.raw_bits;
    const std::uint32_t raw = serial.slot() >> unused;
    serial.advance(1u << unused, serial.slot() - (raw << unused));
    return static_cast<std::int8_t>(symbol.base + static_cast<int>(raw));
  }

  /// Replaces the escapes of the main part by the values they stand for.
  static void decode_rare(const Ans8Model& model, std::int8_t* at, std::size_t count,
                          AnsSerialDecoder& serial) {
    if (model.escape < 0) return;
    const int escape = static_cast<std::uint8_t>(model.rare.front());
    std::int8_t* const end = at + count;
    while (at != end) {
      at = static_cast<std::int8_t*>(std::memchr(at, escape, static_cast<std::size_t>(end - at)));
      if (at == nullptr) break;
      *at++ = decode_index(model, serial);
    }
  }

  Model model_;
  std::size_t cols_;
  Ans8LanesFunction lanes_;
  std::vector<Ans8Tables> tables_;
  std::vector<std::array<std::uint8_t, 256>> owners_;  // of the serial slots / 16: the symbol
};

class Ans8Codec : public Codec {
 public:
  std::string_view name() const override { return "ans8"; }

  std::vector<std::uint8_t> make_table(std::span<const std::int8_t> weights,
                                       std::int64_t cols) const override {
    const ColumnClasses classes = make_column_classes(weights, cols, kMaxAnsClasses, ans_class_cost);
    std::vector<std::vector<std::uint8_t>> parts;
    for (const Histogram& histogram : class_histograms(weights, cols, classes)) {
      parts.push_back(write_ans8_model(make_ans8_model(histogram)));
    }
    return write_class_tables(classes, parts);
  }

  void encode(std::span<const std::uint8_t> table, std::span<const std::int8_t> chunk, std::int64_t cols,
              std::vector<std::uint8_t>& out) const override {
    const Model model = read_model(table, cols);
    if (model.order.is_matrix_order()) return encode_ans8_chunk(model.order, model.classes, chunk, out);
    std::vector<std::int8_t> sorted(chunk.size());
    model.order.sort(chunk, sorted.data());
    encode_ans8_chunk(model.order, model.classes, sorted, out);
  }

  std::unique_ptr<Decoder> make_decoder(std::span<const std::uint8_t> table, std::int64_t cols,
                                        Isa isa) const override {
    return make_ans8_decoder(table, cols, ans8_lanes(isa));
  }
};

}  // namespace

Ans8LanesFunction ans8_lanes([[maybe_unused]] Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::kAvx512) return ans8_lanes_avx512;
  if (isa == Isa::kAvx2 || isa == Isa::kAvx2Vnni) return ans8_lanes_avx2;
#endif
  return ans8_lanes_scalar;
}

std::unique_ptr<Decoder> make_ans8_decoder(std::span<const std::uint8_t> table, std::int64_t cols,
                                           Ans8LanesFunction lanes) {
  return std::make_unique<Ans8Decoder>(table, cols, lanes);
}

const Codec& ans8_codec() {
  static const Ans8Codec codec;
  return codec;
}

}  // namespace twofold
