// The `ans` codec: range ANS with the frequencies of the tensor or of each of its column classes
// (ans_model.cpp), decoded in 64 lanes.
//
// With several classes the weights of a chunk are coded in the order of class_order.h. Classes of one value
// take part in nothing; "the weights" below are those of the others. Lanes and states run on through the
// classes, which differ in the table only.
//
// A chunk of n weights is coded in two parts. The main part is the first n - tail weights, a multiple of 64;
// weight i belongs to lane i mod 64, and each lane is a rANS state of its own (32 bits, renormalised by
// 16-bit words), so that SIMD code can decode 16 at a time. All lanes read from one sequence of words, in
// the order in which they need them. The tail, up to some hundred weights, is coded by one more rANS state,
// the serial one, which also codes which value each escape of the main part stands for.
//
// A lane starts its encoding from a state of 2^16 to 2^17 - 1, which would be 16 bits of nothing in each
// lane. The words of the serial part fill them: word j is the low half of lane j's first encoder state,
// which is what the decoder is left with at the end of the main part. That is what the tail is for; it has as
// many weights as it takes to fill 64 words.
//
// All integers little-endian, bit fields lowest bit first:
//
//   1 byte     t; tail = 64 t + n mod 64
//   if tail < n:
//     32 bytes     4 bits per lane: e, the bits of the state above 17
//     bits         per lane the low e + 16 bits of the state (the bit above them is 1); zero bits up to a
//                  whole byte
//     words        of the main part
//   words      of the serial part: state, high half first, then what it reads; without the first 64 when
//   there is
//              a main part. Fewer than 64 are filled up with zeros.
//
// A chunk without weights and a chunk of a tensor with one value have 0 bytes.
//
// Decoding one weight from a state x:  slot = x mod 4096, s = symbol that owns the slot,
//   x = frequency(s) * (x >> 12) + slot - start(s);  if x < 2^16: x = x << 16 | next word.
// A step decodes lanes 0 to 63 in order. Then the serial state decodes, for every escape of the main part in
// order, an index into the rare values (a symbol with evenly shared slots), then the tail, each escape
// followed by its index. In the end all words are used, the lanes' states are below 2^17 and the serial state
// is 2^16; anything else is an Error.

#include "codec/ans.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <memory>
#include <vector>

#include "base/cpu.h"
#include "base/error.h"
#include "codec/ans_decoder.h"
#include "codec/ans_model.h"
#include "codec/ans_serial.h"
#include "codec/bit_stream.h"
#include "codec/builtin.h"
#include "codec/class_order.h"
#include "codec/padded_bytes.h"

namespace twofold {

namespace {

using LaneBytes = PaddedBytes<kAnsStepBytes>;

constexpr std::size_t kMaxTailSteps = 16;  // bounds the slow serial part where weights cost next to nothing

/// What the encoder needs of a symbol.
struct EncoderEntry {
  std::uint64_t reciprocal;  // ceil(2^shift / frequency)
  std::uint32_t limit;       // states from here on first give up a word
  std::uint16_t complement;  // 4096 - frequency
  std::uint16_t start;
  int shift;
};

/// x / f == x * ceil(2^k / f) >> k for x < f * 2^20 and k = 2 ceil(log2 f) + 20: the rounding error of the
/// reciprocal is below f, so that of the product is below f^2 * 2^20 <= 2^k. The product is below 2^64.
EncoderEntry make_entry(std::uint32_t frequency, std::uint32_t start) {
  EncoderEntry entry;
  entry.shift = 2 * std::bit_width(frequency - 1) + 32 - kAnsBits;
  entry.reciprocal = ((std::uint64_t{1} << entry.shift) + frequency - 1) / frequency;
  entry.limit = frequency << (32 - kAnsBits);
  entry.complement = static_cast<std::uint16_t>(kAnsTotal - frequency);
  entry.start = static_cast<std::uint16_t>(start);
  return entry;
}

struct Model {
  ClassOrder order;
  std::vector<AnsModel> classes;
};

Model read_model(std::span<const std::uint8_t> table, std::int64_t cols) {
  ClassTables tables = read_class_tables(table, cols);
  Model model{ClassOrder(std::move(tables.classes)), {}};
  for (const std::span<const std::uint8_t> part : tables.parts) model.classes.push_back(read_ans_model(part));
  return model;
}

/// The weights of a class in a chunk, in the coded order.
struct Region {
  std::size_t c;      // class
  std::size_t begin;  // first weight in the coded order
  std::size_t main;   // weights of the main part, a multiple of 64
  std::size_t tail;   // those after them
};

/// The classes of a chunk of `count` weights that have more than one value, when the last `tail` of their
/// weights are the tail, which is at most all of them.
std::vector<Region> make_regions(const Model& model, std::size_t count, std::size_t tail) {
  std::vector<Region> regions;
  std::size_t begin = 0;
  for (std::size_t c = 0; c < model.classes.size(); ++c) {
    const std::size_t weights = model.order.weights(c, count);
    if (model.classes[c].kind == AnsModel::Kind::kCoded && weights > 0) {
      regions.push_back({c, begin, weights, 0});
    }
    begin += weights;
  }
  for (std::size_t r = regions.size(); r-- > 0;) {
    regions[r].tail = std::min(tail, regions[r].main);
    regions[r].main -= regions[r].tail;
    tail -= regions[r].tail;
  }
  return regions;
}

/// Codes the main part from the given states backwards.
class LaneEncoder {
 public:
  LaneEncoder(const std::array<std::uint32_t, kAnsLanes>& states, std::size_t weights)
      : states_(states),
        buffer_(std::make_unique_for_overwrite<std::uint16_t[]>(weights)),
        first_(weights),
        end_(weights) {}

  /// The weights of a class, a multiple of 64.
  void put(const AnsModel& model, std::span<const std::int8_t> weights) {
    std::array<EncoderEntry, 256> entries{};  // by the weight's byte
    for (std::size_t s = 0; s < 256; ++s) {
      const std::size_t code =
          model.frequency[s] > 0 ? s : static_cast<std::size_t>(std::max(model.escape, 0));
      if (model.frequency[code] == 0) continue;  // `check_covered` has made sure that it does not occur
      entries[static_cast<std::uint8_t>(ans_weight(s))] =
          make_entry(model.frequency[code], model.start[code]);
    }
    std::size_t first = first_;
    for (std::size_t i = weights.size(); i > 0;) {
      i -= kAnsLanes;
      for (std::size_t lane = kAnsLanes; lane-- > 0;) {
        const EncoderEntry& entry = entries[static_cast<std::uint8_t>(weights[i + lane])];
        std::uint32_t state = states_[lane];
        buffer_[first - 1] = static_cast<std::uint16_t>(state);
        // A number and not a branch, because no branch predictor can guess it.
        const std::uint32_t full = state >= entry.limit;
        first -= full;
        state >>= 16 * full;
        const auto quotient = static_cast<std::uint32_t>(state * entry.reciprocal >> entry.shift);
        states_[lane] = state + quotient * entry.complement + entry.start;
      }
    }
    first_ = first;
  }

  /// Where the decoder starts.
  const std::array<std::uint32_t, kAnsLanes>& states() const { return states_; }
  /// In the order in which they are read.
  std::span<const std::uint16_t> words() const { return {buffer_.get() + first_, end_ - first_}; }

 private:
  std::array<std::uint32_t, kAnsLanes> states_;
  std::unique_ptr<std::uint16_t[]> buffer_;
  std::size_t first_;
  std::size_t end_;
};

/// Throws unless the model has a code for every weight.
void check_covered(const AnsModel& model, std::span<const std::int8_t> weights) {
  Histogram histogram{};
  count_values(weights, histogram);
  for (std::size_t s = 0; s < 256; ++s) {
    const int value = static_cast<int>(s) - 128;
    if (histogram[static_cast<std::uint8_t>(value)] == 0) continue;
    const bool inside = static_cast<int>(s) >= model.low && static_cast<int>(s) <= model.high;
    const bool coded = model.kind == AnsModel::Kind::kOneValue || model.frequency[s] > 0 || model.escape >= 0;
    if (model.kind == AnsModel::Kind::kEmpty || !inside || !coded) {
      fail("ans: the table has no code for the weight {}", value);
    }
  }
}

/// Codes weights into the serial part.
class AnsSymbolCoder {
 public:
  AnsSymbolCoder(const AnsModel& model, AnsSerialEncoder& encoder) : model_(model), encoder_(encoder) {}

  bool is_rare(std::int8_t weight) const {
    const std::size_t s = ans_symbol(weight);
    return model_.frequency[s] == 0 || static_cast<int>(s) == model_.escape;
  }
  void put_index(std::int8_t weight) {
    const std::size_t index = model_.rare_index[ans_symbol(weight)];
    const std::uint32_t start = model_.rare_start(index);
    encoder_.put(start, model_.rare_start(index + 1) - start);
  }
  void put(std::int8_t weight) {
    std::size_t s = ans_symbol(weight);
    if (is_rare(weight)) {
      put_index(weight);
      s = static_cast<std::size_t>(model_.escape);
    }
    encoder_.put(model_.start[s], model_.frequency[s]);
  }

 private:
  const AnsModel& model_;
  AnsSerialEncoder& encoder_;
};

void append_words(std::span<const std::uint16_t> words, std::vector<std::uint8_t>& out) {
  std::size_t at = out.size();
  out.resize(at + 2 * words.size());
  for (std::uint16_t word : words) {
    out[at++] = static_cast<std::uint8_t>(word);
    out[at++] = static_cast<std::uint8_t>(word >> 8);
  }
}

/// `sorted` has the weights in the coded order.
void encode_chunk(const Model& model, std::span<const std::int8_t> sorted, std::vector<std::uint8_t>& out) {
  std::size_t begin = 0;
  for (std::size_t c = 0; c < model.classes.size(); ++c) {
    const std::size_t weights = model.order.weights(c, sorted.size());
    check_covered(model.classes[c], sorted.subspan(begin, weights));
    begin += weights;
  }
  std::vector<Region> regions = make_regions(model, sorted.size(), 0);
  std::size_t main = 0;
  for (const Region& region : regions) main += region.main;
  if (main == 0) return;
  AnsSerialEncoder encoder;
  std::vector<AnsSymbolCoder> coders;
  coders.reserve(regions.size());
  for (const Region& region : regions) coders.emplace_back(model.classes[region.c], encoder);
  const bool short_chunk = main <= kMaxTailSteps * kAnsLanes;
  const auto code_tail = [&](std::size_t count) {
    main -= count;
    for (std::size_t r = regions.size(); r-- > 0;) {
      for (; count > 0 && regions[r].main > 0; --count) {
        ++regions[r].tail;
        coders[r].put(sorted[regions[r].begin + --regions[r].main]);
      }
    }
  };
  code_tail(main % kAnsLanes);
  std::size_t steps = 0;
  for (; steps < kMaxTailSteps && main > 0 && (short_chunk || encoder.words() < kAnsLanes); ++steps) {
    code_tail(kAnsLanes);
  }
  out.push_back(static_cast<std::uint8_t>(steps));
  if (main == 0) {
    append_words(encoder.finish(), out);
    return;
  }
  for (std::size_t r = regions.size(); r-- > 0;) {
    if (model.classes[regions[r].c].escape < 0) continue;
    for (std::size_t i = regions[r].main; i-- > 0;) {
      const std::int8_t weight = sorted[regions[r].begin + i];
      if (coders[r].is_rare(weight)) coders[r].put_index(weight);
    }
  }
  std::vector<std::uint16_t> serial = encoder.finish();
  serial.resize(std::max(serial.size(), kAnsLanes));
  std::array<std::uint32_t, kAnsLanes> states;
  for (std::size_t lane = 0; lane < kAnsLanes; ++lane) states[lane] = kAnsLow | serial[lane];
  LaneEncoder lanes(states, main);
  for (std::size_t r = regions.size(); r-- > 0;) {
    lanes.put(model.classes[regions[r].c], sorted.subspan(regions[r].begin, regions[r].main));
  }
  BitWriter bits(out);
  for (const std::uint32_t state : lanes.states()) {
    bits.put(static_cast<std::uint32_t>(std::bit_width(state)) - 17, 4);
  }
  for (const std::uint32_t state : lanes.states()) bits.put(state, std::bit_width(state) - 1);
  append_words(lanes.words(), out);
  append_words(std::span(serial).subspan(kAnsLanes), out);
}

/// The inner loop's table.
std::vector<std::uint32_t> make_slots(const AnsModel& model) {
  std::vector<std::uint32_t> slots;
  if (model.kind != AnsModel::Kind::kCoded) return slots;
  slots.resize(kAnsTotal);
  for (std::size_t s = 0; s < 256; ++s) {
    const std::uint32_t frequency = model.frequency[s];
    for (std::uint32_t offset = 0; offset < frequency; ++offset) {
      slots[model.start[s] + offset] =
          static_cast<std::uint8_t>(ans_weight(s)) | frequency << 8 | offset << 20;
    }
  }
  return slots;
}

class LaneDecoder : public AnsDecoder {
 public:
  LaneDecoder(std::span<const std::uint8_t> table, std::int64_t cols, AnsLanesFunction lanes)
      : model_(read_model(table, cols)), cols_(static_cast<std::size_t>(cols)), lanes_(lanes) {
    for (const AnsModel& model : model_.classes) slots_.push_back(make_slots(model));
  }

  void decode(std::span<const std::uint8_t> coded, std::span<std::int8_t> out) const override {
    if (model_.order.is_matrix_order()) return decode_sorted(coded, out);
    if (out.size() % cols_ != 0) fail("ans chunk: {} weights, expected whole rows of {}", out.size(), cols_);
    const std::span<std::int8_t> sorted = ClassOrder::buffer(out.size());
    decode_sorted(coded, sorted);
    model_.order.restore(sorted.data(), out);
  }

  const ClassOrder& order() const override { return model_.order; }
  std::span<const AnsModel> models() const override { return model_.classes; }
  std::span<const std::uint32_t> slots(std::size_t c) const override { return slots_[c]; }

  OpenChunk open(std::span<const std::uint8_t> coded, std::size_t count) const override {
    const std::size_t weights = coded_weights(count);
    const std::size_t tail = tail_weights(coded, weights, count);
    if (tail == weights) return {tail, 0};
    std::array<std::uint32_t, kAnsLanes> states;
    return {tail, 1 + read_states(coded.subspan(1), states)};
  }

 private:
  /// Of `count` weights those in classes of more than one value.
  std::size_t coded_weights(std::size_t count) const {
    std::size_t weights = 0;
    for (std::size_t c = 0; c < model_.classes.size(); ++c) {
      const std::size_t of_class = model_.order.weights(c, count);
      if (model_.classes[c].kind == AnsModel::Kind::kEmpty && of_class > 0) {
        fail("ans chunk: the table is of a tensor without weights");
      }
      if (model_.classes[c].kind == AnsModel::Kind::kCoded) weights += of_class;
    }
    return weights;
  }

  /// Those of `weights` that are coded serially, in a chunk of `count`.
  static std::size_t tail_weights(std::span<const std::uint8_t> coded, std::size_t weights,
                                  std::size_t count) {
    if (weights == 0) {
      if (!coded.empty()) fail("ans chunk: {} bytes, expected none", coded.size());
      return 0;
    }
    if (coded.empty()) fail("ans chunk: no bytes for {} weights", count);
    const std::size_t tail = std::size_t{coded[0]} * kAnsLanes + weights % kAnsLanes;
    if (tail > weights) fail("ans chunk: a tail of {} weights in {}", tail, weights);
    return tail;
  }

  /// The lanes' first states. Returns how many bytes they take.
  static std::size_t read_states(std::span<const std::uint8_t> coded,
                                 std::array<std::uint32_t, kAnsLanes>& states) {
    BitReader bits(coded);
    for (std::uint32_t& state : states) state = bits.get(4) + 16;
    for (std::uint32_t& state : states) state = 1u << state | bits.get(static_cast<int>(state));
    const std::size_t used = bits.finish();
    if (!bits.ok()) fail("ans chunk: {} bytes end within the states", coded.size());
    return used;
  }

  /// The weights in the coded order.
  void decode_sorted(std::span<const std::uint8_t> coded, std::span<std::int8_t> out) const {
    const std::size_t count = coded_weights(out.size());
    const std::size_t tail = tail_weights(coded, count, out.size());
    std::size_t begin = 0;
    for (std::size_t c = 0; c < model_.classes.size(); ++c) {
      const AnsModel& model = model_.classes[c];
      const std::size_t weights = model_.order.weights(c, out.size());
      if (model.kind != AnsModel::Kind::kCoded) {
        std::fill_n(out.data() + begin, weights, ans_weight(static_cast<std::size_t>(model.low)));
      }
      begin += weights;
    }
    if (count == 0) return;
    const std::vector<Region> regions = make_regions(model_, out.size(), tail);
    std::array<std::uint16_t, kAnsLanes> head;
    std::span<const std::uint8_t> rest = coded.subspan(1);
    if (tail < count) rest = decode_main(regions, rest, out, head);
    AnsSerialDecoder serial({head.data(), tail < count ? kAnsLanes : 0}, rest);
    for (const Region& region : regions) {
      decode_rare(model_.classes[region.c], out.subspan(region.begin, region.main), serial);
    }
    for (const Region& region : regions) {
      for (std::int8_t& weight : out.subspan(region.begin + region.main, region.tail)) {
        weight = decode_weight(region.c, serial);
      }
    }
    if (!serial.finished()) fail("ans chunk: {} bytes do not end with {} weights", coded.size(), out.size());
  }

  /// Decodes the main part. Returns the bytes after it and in `head` what the lanes' last states hold.
  std::span<const std::uint8_t> decode_main(std::span<const Region> regions,
                                            std::span<const std::uint8_t> coded, std::span<std::int8_t> out,
                                            std::array<std::uint16_t, kAnsLanes>& head) const {
    std::array<std::uint32_t, kAnsLanes> states;
    coded = coded.subspan(read_states(coded, states));

    LaneBytes words(coded);
    for (const Region& region : regions) {
      AnsCursor cursor{words.at(), words.end(), out.data() + region.begin, region.main / kAnsLanes};
      lanes_(slots_[region.c].data(), states.data(), cursor);
      words.move_to(cursor.words);
      if (cursor.steps > 0 && words.go_on_in_copy()) {
        cursor.words = words.at();
        cursor.end = words.end();
        lanes_(slots_[region.c].data(), states.data(), cursor);
        words.move_to(cursor.words);
      }
      if (cursor.steps > 0) break;
    }
    if (words.taken() > coded.size()) {
      fail("ans chunk: {} bytes end before {} weights", coded.size(), out.size());
    }
    for (std::size_t lane = 0; lane < kAnsLanes; ++lane) {
      if (states[lane] >> 16 != 1) fail("ans chunk: lane {} ends in a wrong state", lane);
      head[lane] = static_cast<std::uint16_t>(states[lane]);
    }
    return coded.subspan(words.taken());
  }

  static std::int8_t decode_index(const AnsModel& model, AnsSerialDecoder& serial) {
    const std::uint32_t slot = serial.slot();
    const std::size_t index = ((slot + 1) * model.rare.size() - 1) >> kAnsBits;
    const std::uint32_t start = model.rare_start(index);
    serial.advance(model.rare_start(index + 1) - start, slot - start);
    return ans_weight(model.rare[index]);
  }

  std::int8_t decode_weight(std::size_t c, AnsSerialDecoder& serial) const {
    const std::uint32_t entry = slots_[c][serial.slot()];
    serial.advance(entry >> 8 & 0xfff, entry >> 20);
    const auto weight = static_cast<std::int8_t>(entry & 0xff);
    const AnsModel& model = model_.classes[c];
    return int{ans_symbol(weight)} == model.escape ? decode_index(model, serial) : weight;
  }

  /// Replaces the escapes of the main part by the values they stand for.
  static void decode_rare(const AnsModel& model, std::span<std::int8_t> main, AnsSerialDecoder& serial) {
    if (model.escape < 0) return;
    const int escape = static_cast<std::uint8_t>(ans_weight(static_cast<std::size_t>(model.escape)));
    std::int8_t* at = main.data();
    std::int8_t* const end = at + main.size();
    while (at != end) {
      at = static_cast<std::int8_t*>(std::memchr(at, escape, static_cast<std::size_t>(end - at)));
      if (at == nullptr) break;
      *at++ = decode_index(model, serial);
    }
  }

  Model model_;
  std::size_t cols_;
  AnsLanesFunction lanes_;
  std::vector<std::vector<std::uint32_t>> slots_;  // per class
};

class AnsCodec : public Codec {
 public:
  std::string_view name() const override { return "ans"; }

  std::vector<std::uint8_t> make_table(std::span<const std::int8_t> weights,
                                       std::int64_t cols) const override {
    const ColumnClasses classes = make_column_classes(weights, cols, kMaxAnsClasses, ans_class_cost);
    std::vector<std::vector<std::uint8_t>> parts;
    for (const Histogram& histogram : class_histograms(weights, cols, classes)) {
      parts.push_back(write_ans_model(make_ans_model(histogram)));
    }
    return write_class_tables(classes, parts);
  }

  void encode(std::span<const std::uint8_t> table, std::span<const std::int8_t> chunk, std::int64_t cols,
              std::vector<std::uint8_t>& out) const override {
    const Model model = read_model(table, cols);
    if (model.order.is_matrix_order()) return encode_chunk(model, chunk, out);
    std::vector<std::int8_t> sorted(chunk.size());
    model.order.sort(chunk, sorted.data());
    encode_chunk(model, sorted, out);
  }

  std::unique_ptr<Decoder> make_decoder(std::span<const std::uint8_t> table, std::int64_t cols,
                                        Isa isa) const override {
    return make_ans_decoder(table, cols, ans_lanes(isa));
  }
};

}  // namespace

AnsLanesFunction ans_lanes([[maybe_unused]] Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::kAvx512) return ans_lanes_avx512;
  if (isa == Isa::kAvx2 || isa == Isa::kAvx2Vnni) return ans_lanes_avx2;
#endif
  return ans_lanes_scalar;
}

std::unique_ptr<Decoder> make_ans_decoder(std::span<const std::uint8_t> table, std::int64_t cols,
                                          AnsLanesFunction lanes) {
  return std::make_unique<LaneDecoder>(table, cols, lanes);
}

const Codec& ans_codec() {
  static const AnsCodec codec;
  return codec;
}

}  // namespace twofold
