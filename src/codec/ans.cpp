// The `ans` codec: range ANS with the frequencies of the tensor (ans_model.cpp), decoded in 64 lanes.
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
#include "codec/ans_model.h"
#include "codec/ans_serial.h"
#include "codec/bit_stream.h"
#include "codec/builtin.h"

namespace twofold {

namespace {

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

/// Codes `weights` (a multiple of 64) from the given states backwards; returns the words in the order in
/// which they are read, and in `states` where the decoder starts.
std::vector<std::uint16_t> encode_lanes(const AnsModel& model, std::span<const std::int8_t> weights,
                                        std::array<std::uint32_t, kAnsLanes>& states) {
  std::array<EncoderEntry, 256> entries{};  // by the weight's byte
  for (std::size_t s = 0; s < 256; ++s) {
    const std::size_t code = model.frequency[s] > 0 ? s : static_cast<std::size_t>(std::max(model.escape, 0));
    if (model.frequency[code] == 0) continue;  // `check_covered` has made sure that it does not occur
    entries[static_cast<std::uint8_t>(ans_weight(s))] = make_entry(model.frequency[code], model.start[code]);
  }
  const auto buffer = std::make_unique_for_overwrite<std::uint16_t[]>(weights.size());
  std::size_t first = weights.size();
  for (std::size_t i = weights.size(); i > 0;) {
    i -= kAnsLanes;
    for (std::size_t lane = kAnsLanes; lane-- > 0;) {
      const EncoderEntry& entry = entries[static_cast<std::uint8_t>(weights[i + lane])];
      std::uint32_t state = states[lane];
      buffer[first - 1] = static_cast<std::uint16_t>(state);
      // A number and not a branch, because no branch predictor can guess it.
      const std::uint32_t full = state >= entry.limit;
      first -= full;
      state >>= 16 * full;
      const auto quotient = static_cast<std::uint32_t>(state * entry.reciprocal >> entry.shift);
      states[lane] = state + quotient * entry.complement + entry.start;
    }
  }
  return {buffer.get() + first, buffer.get() + weights.size()};
}

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

void encode_chunk(const AnsModel& model, std::span<const std::int8_t> chunk, std::vector<std::uint8_t>& out) {
  check_covered(model, chunk);
  if (chunk.empty() || model.kind == AnsModel::Kind::kOneValue) return;
  AnsSerialEncoder encoder;
  AnsSymbolCoder coder(model, encoder);
  std::size_t main = chunk.size();
  const auto code_tail = [&](std::size_t to) {
    while (main > to) coder.put(chunk[--main]);
  };
  code_tail(chunk.size() - chunk.size() % kAnsLanes);
  const bool short_chunk = chunk.size() <= kMaxTailSteps * kAnsLanes;
  for (std::size_t t = 0; t < kMaxTailSteps && main > 0 && (short_chunk || encoder.words() < kAnsLanes);
       ++t) {
    code_tail(main - kAnsLanes);
  }
  out.push_back(static_cast<std::uint8_t>((chunk.size() - main) / kAnsLanes));
  if (main == 0) {
    append_words(encoder.finish(), out);
    return;
  }
  if (model.escape >= 0) {
    for (std::size_t i = main; i-- > 0;) {
      if (coder.is_rare(chunk[i])) coder.put_index(chunk[i]);
    }
  }
  std::vector<std::uint16_t> serial = encoder.finish();
  serial.resize(std::max(serial.size(), kAnsLanes));
  std::array<std::uint32_t, kAnsLanes> states;
  for (std::size_t lane = 0; lane < kAnsLanes; ++lane) states[lane] = kAnsLow | serial[lane];
  const std::vector<std::uint16_t> words = encode_lanes(model, chunk.first(main), states);
  BitWriter bits(out);
  for (std::uint32_t state : states) bits.put(static_cast<std::uint32_t>(std::bit_width(state)) - 17, 4);
  for (std::uint32_t state : states) bits.put(state, std::bit_width(state) - 1);
  append_words(words, out);
  append_words(std::span(serial).subspan(kAnsLanes), out);
}

class AnsDecoder : public Decoder {
 public:
  AnsDecoder(std::span<const std::uint8_t> table, AnsLanesFunction lanes)
      : model_(read_ans_model(table)), lanes_(lanes) {
    if (model_.kind != AnsModel::Kind::kCoded) return;
    slots_.resize(kAnsTotal);
    for (std::size_t s = 0; s < 256; ++s) {
      const std::uint32_t frequency = model_.frequency[s];
      for (std::uint32_t offset = 0; offset < frequency; ++offset) {
        slots_[model_.start[s] + offset] =
            static_cast<std::uint8_t>(ans_weight(s)) | frequency << 8 | offset << 20;
      }
    }
  }

  void decode(std::span<const std::uint8_t> coded, std::span<std::int8_t> out) const override {
    if (out.empty() || model_.kind != AnsModel::Kind::kCoded) {
      if (!coded.empty()) fail("ans chunk: {} bytes, expected none", coded.size());
      if (!out.empty() && model_.kind == AnsModel::Kind::kEmpty)
        fail("ans chunk: the table is of a tensor without weights");
      std::fill(out.begin(), out.end(), ans_weight(static_cast<std::size_t>(model_.low)));
      return;
    }
    if (coded.empty()) fail("ans chunk: no bytes for {} weights", out.size());
    const std::size_t tail = std::size_t{coded[0]} * kAnsLanes + out.size() % kAnsLanes;
    if (tail > out.size()) fail("ans chunk: a tail of {} weights in {}", tail, out.size());
    const std::span<std::int8_t> main = out.first(out.size() - tail);
    std::array<std::uint16_t, kAnsLanes> head;
    std::span<const std::uint8_t> rest = coded.subspan(1);
    if (!main.empty()) rest = decode_main(rest, main, head);
    AnsSerialDecoder serial({head.data(), main.empty() ? 0 : kAnsLanes}, rest);
    decode_rare(main, serial);
    for (std::int8_t& weight : out.subspan(main.size())) weight = decode_weight(serial);
    if (!serial.finished()) fail("ans chunk: {} bytes do not end with {} weights", coded.size(), out.size());
  }

 private:
  /// Decodes the main part. Returns the bytes after it and in `head` what the lanes' last states hold.
  std::span<const std::uint8_t> decode_main(std::span<const std::uint8_t> coded, std::span<std::int8_t> main,
                                            std::array<std::uint16_t, kAnsLanes>& head) const {
    BitReader bits(coded);
    std::array<std::uint32_t, kAnsLanes> states;
    for (std::uint32_t& state : states) state = bits.get(4) + 16;
    for (std::uint32_t& state : states) state = 1u << state | bits.get(static_cast<int>(state));
    const std::size_t used = bits.finish();
    if (!bits.ok()) fail("ans chunk: {} bytes end within the states", coded.size());
    coded = coded.subspan(used);

    AnsCursor cursor{coded.data(), coded.data() + coded.size(), main.data(), main.size() / kAnsLanes};
    lanes_(slots_.data(), states.data(), cursor);
    std::size_t position = static_cast<std::size_t>(cursor.words - coded.data());
    if (cursor.steps > 0) {
      // Fewer bytes are left than a step may read: go on in a copy with zeros behind it. The loop stops
      // as soon as it has taken one of the zeros.
      const std::size_t left = coded.size() - position;
      std::array<std::uint8_t, 2 * kAnsStepBytes> copy{};
      std::copy_n(coded.data() + position, left, copy.data());
      cursor.words = copy.data();
      cursor.end = copy.data() + left + kAnsStepBytes;
      lanes_(slots_.data(), states.data(), cursor);
      const std::size_t taken = static_cast<std::size_t>(cursor.words - copy.data());
      if (taken > left) fail("ans chunk: {} bytes end before {} weights", coded.size(), main.size());
      position += taken;
    }
    for (std::size_t lane = 0; lane < kAnsLanes; ++lane) {
      if (states[lane] >> 16 != 1) fail("ans chunk: lane {} ends in a wrong state", lane);
      head[lane] = static_cast<std::uint16_t>(states[lane]);
    }
    return coded.subspan(position);
  }

  std::int8_t decode_index(AnsSerialDecoder& serial) const {
    const std::uint32_t slot = serial.slot();
    const std::size_t index = ((slot + 1) * model_.rare.size() - 1) >> kAnsBits;
    const std::uint32_t start = model_.rare_start(index);
    serial.advance(model_.rare_start(index + 1) - start, slot - start);
    return ans_weight(model_.rare[index]);
  }

  std::int8_t decode_weight(AnsSerialDecoder& serial) const {
    const std::uint32_t entry = slots_[serial.slot()];
    serial.advance(entry >> 8 & 0xfff, entry >> 20);
    const auto weight = static_cast<std::int8_t>(entry & 0xff);
    return int{ans_symbol(weight)} == model_.escape ? decode_index(serial) : weight;
  }

  /// Replaces the escapes of the main part by the values they stand for.
  void decode_rare(std::span<std::int8_t> main, AnsSerialDecoder& serial) const {
    if (model_.escape < 0) return;
    const int escape = static_cast<std::uint8_t>(ans_weight(static_cast<std::size_t>(model_.escape)));
    std::int8_t* at = main.data();
    std::int8_t* const end = at + main.size();
    while (at != end) {
      at = static_cast<std::int8_t*>(std::memchr(at, escape, static_cast<std::size_t>(end - at)));
      if (at == nullptr) break;
      *at++ = decode_index(serial);
    }
  }

  AnsModel model_;
  AnsLanesFunction lanes_;
  std::vector<std::uint32_t> slots_;
};

class AnsCodec : public Codec {
 public:
  std::string_view name() const override { return "ans"; }

  std::vector<std::uint8_t> make_table(std::span<const std::int8_t> weights, std::int64_t) const override {
    Histogram histogram{};
    count_values(weights, histogram);
    return write_ans_model(make_ans_model(histogram));
  }

  void encode(std::span<const std::uint8_t> table, std::span<const std::int8_t> chunk, std::int64_t,
              std::vector<std::uint8_t>& out) const override {
    encode_chunk(read_ans_model(table), chunk, out);
  }

  std::unique_ptr<Decoder> make_decoder(std::span<const std::uint8_t> table, std::int64_t) const override {
    return make_ans_decoder(table, ans_lanes(active_isa()));
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

std::unique_ptr<Decoder> make_ans_decoder(std::span<const std::uint8_t> table, AnsLanesFunction lanes) {
  return std::make_unique<AnsDecoder>(table, lanes);
}

const Codec& ans_codec() {
  static const AnsCodec codec;
  return codec;
}

}  // namespace twofold
