#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <memory>

#include "base/error.h"
#include "codec/ans8_chunk.h"
#include "codec/ans8_lanes.h"
#include "codec/ans8_raw.h"
#include "codec/ans8_tables.h"
#include "codec/ans_serial.h"
#include "codec/bit_stream.h"

namespace twofold {

namespace {

constexpr std::uint32_t kLow = 1u << kAns8Bits;  // states are at least this
constexpr int kSerialShift = kAnsBits - kAns8Bits;
constexpr std::size_t kLanes = kAns8Unit * kAns8Groups;

using States = std::array<std::uint32_t, kLanes>;

const Ans8Model::Code& code_of(const Ans8Model& model, std::int8_t weight) {
  return model.codes[static_cast<std::uint8_t>(weight)];
}

bool is_rare(const Ans8Model& model, std::int8_t weight) {
  return int{code_of(model, weight).symbol} == model.escape;
}

/// Throws unless the model has a code for every weight.
void check_covered(const Ans8Model& model, std::span<const std::int8_t> weights) {
  for (const std::int8_t weight : weights) {
    const bool coded = model.kind == Ans8Model::Kind::kCoded      ? code_of(model, weight).symbol != 0xff
                       : model.kind == Ans8Model::Kind::kOneValue ? int{weight} == model.low
                                                                  : false;
    if (!coded) fail("ans8: the table has no code for the weight {}", int{weight});
  }
}

void put_index(const Ans8Model& model, std::int8_t weight, AnsSerialEncoder& encoder) {
  const std::size_t i = code_of(model, weight).rare;
  const std::uint32_t start = ans_even_start(i, model.rare.size());
  encoder.put(start, ans_even_start(i + 1, model.rare.size()) - start);
}

void put_serially(const Ans8Model& model, std::int8_t weight, AnsSerialEncoder& encoder) {
  const Ans8Model::Code& code = code_of(model, weight);
  const Ans8Symbol& symbol = model.symbols[code.symbol];
  if (is_rare(model, weight)) {
    put_index(model, weight, encoder);
  } else if (symbol.raw) {
    const int unused = kAnsBits - model.raw_bits;
    encoder.put(std::uint32_t{code.raw} << unused, 1u << unused);
  }
  encoder.put(std::uint32_t{symbol.start} << kSerialShift, std::uint32_t{symbol.frequency} << kSerialShift);
}

/// What the encoder of the lanes needs of a weight.
struct EncoderEntry {
  std::uint32_t reciprocal;  // ceil(2^24 / frequency)
  std::uint32_t limit;       // states from here on first give up a byte
  std::uint8_t frequency;
  std::uint8_t start;  // of the symbol in `slots`
};

class LaneEncoder {
 public:
  LaneEncoder(const States& states, std::size_t weights)
      : states_(states),
        buffer_(std::make_unique_for_overwrite<std::uint8_t[]>(weights)),
        end_(weights),
        first_(weights) {}

  /// Codes a class backwards from unit `unit`, its last one.
  void put(const Ans8Model& model, std::span<const std::int8_t> weights, std::size_t unit) {
    std::array<EncoderEntry, 256> entries{};
    for (std::size_t v = 0; v < 256; ++v) {
      if (model.codes[v].symbol == 0xff) continue;
      const Ans8Symbol& symbol = model.symbols[model.codes[v].symbol];
      const std::uint32_t f = symbol.frequency;
      entries[v] = {((1u << 24) + f - 1) / f, f << kAns8Bits, symbol.frequency, symbol.start};
    }
    std::array<std::uint8_t, 256> slots{};  // of each symbol in the order of their numbers
    const std::array<Ans8Slot, 256> by_slot = ans8_slots(model);
    for (std::size_t slot = 0; slot < 256; ++slot) {
      const std::size_t start = model.symbols[by_slot[slot].symbol].start;
      slots[start + by_slot[slot].number] = static_cast<std::uint8_t>(slot);
    }
    for (std::size_t i = weights.size(); i > 0; --unit) {
      i -= kAns8Unit;
      std::uint32_t* const states = &states_[unit % kAns8Groups * kAns8Unit];
      for (std::size_t lane = kAns8Unit; lane-- > 0;) {
        const EncoderEntry& entry = entries[static_cast<std::uint8_t>(weights[i + lane])];
        std::uint32_t state = states[lane];
        buffer_[first_ - 1] = static_cast<std::uint8_t>(state);
        // A number and not a branch, because no branch predictor can guess it.
        const std::uint32_t full = state >= entry.limit;
        first_ -= full;
        state >>= 8 * full;
        // Exact: state < 256 f, so that the reciprocal's error is below 256 f * f / 2^24 / f < 1 / f.
        const auto quotient = static_cast<std::uint32_t>(std::uint64_t{state} * entry.reciprocal >> 24);
        const std::uint32_t number = state - quotient * entry.frequency;
        states[lane] = quotient << kAns8Bits | slots[entry.start + number];
      }
    }
  }

  const States& states() const { return states_; }
  /// In the order in which they are read.
  std::span<const std::uint8_t> bytes() const { return {buffer_.get() + first_, end_ - first_}; }

 private:
  States states_;
  std::unique_ptr<std::uint8_t[]> buffer_;
  std::size_t end_;
  std::size_t first_;
};

/// Fewest units of tail that fill the lanes' last states together with the indices of the rare weights.
std::size_t tail_units(std::span<const Ans8Region> all, std::span<const Ans8Model> models,
                       std::span<const std::int8_t> sorted, std::size_t coded) {
  if (coded <= kAns8MaxTailUnits * kAns8Unit) return coded / kAns8Unit;
  double bits = 16;
  for (const Ans8Region& region : all) {
    const Ans8Model& model = models[region.c];
    if (model.escape < 0) continue;
    const double each = std::log2(static_cast<double>(model.rare.size()));
    for (const std::int8_t weight : sorted.subspan(region.begin, region.main + region.tail)) {
      if (is_rare(model, weight)) bits += each;
    }
  }
  std::size_t units = 0;
  const Ans8Region& last = all.back();
  const Ans8Model& model = models[last.c];
  double share = 0;  // bits of an average weight of the last class
  for (const Ans8Symbol& symbol : model.symbols) {
    const double f = symbol.frequency;
    share += f / kAns8Total * (kAns8Bits - std::log2(f) + (symbol.raw ? model.raw_bits : 0));
  }
  while (units < kAns8MaxTailUnits && bits < 16.0 * kAns8PayloadWords) {
    bits += share * static_cast<double>(kAns8Unit);
    ++units;
  }
  return units;
}

void append_words(std::span<const std::uint16_t> words, std::vector<std::uint8_t>& out) {
  for (const std::uint16_t word : words) {
    out.push_back(static_cast<std::uint8_t>(word));
    out.push_back(static_cast<std::uint8_t>(word >> 8));
  }
}

std::vector<std::uint16_t> encode_serially(std::span<const Ans8Region> regions,
                                           std::span<const Ans8Model> models,
                                           std::span<const std::int8_t> sorted) {
  AnsSerialEncoder encoder;
  for (std::size_t r = regions.size(); r-- > 0;) {
    const Ans8Model& model = models[regions[r].c];
    for (std::size_t i = regions[r].tail; i-- > 0;) {
      put_serially(model, sorted[regions[r].begin + regions[r].main + i], encoder);
    }
  }
  for (std::size_t r = regions.size(); r-- > 0;) {
    const Ans8Model& model = models[regions[r].c];
    for (std::size_t i = model.escape < 0 ? 0 : regions[r].main; i-- > 0;) {
      const std::int8_t weight = sorted[regions[r].begin + i];
      if (is_rare(model, weight)) put_index(model, weight, encoder);
    }
  }
  return encoder.finish();
}

}  // namespace

std::vector<Ans8Region> ans8_regions(const ClassOrder& order, std::span<const Ans8Model> models,
                                     std::size_t count, std::size_t tail) {
  std::vector<Ans8Region> regions;
  std::size_t begin = 0;
  for (std::size_t c = 0; c < models.size(); ++c) {
    const std::size_t weights = order.weights(c, count);
    if (models[c].kind == Ans8Model::Kind::kCoded && weights > 0) regions.push_back({c, begin, weights, 0});
    begin += weights;
  }
  for (std::size_t r = regions.size(); r-- > 0;) {
    const std::size_t taken = std::min(tail, regions[r].main);
    regions[r].main -= taken;
    regions[r].tail = taken;
    tail -= taken;
  }
  if (tail > 0) return {};
  return regions;
}

void encode_ans8_chunk(const ClassOrder& order, std::span<const Ans8Model> models,
                       std::span<const std::int8_t> sorted, std::vector<std::uint8_t>& out) {
  std::size_t begin = 0;
  for (std::size_t c = 0; c < models.size(); ++c) {
    const std::size_t weights = order.weights(c, sorted.size());
    check_covered(models[c], sorted.subspan(begin, weights));
    begin += weights;
  }
  std::vector<Ans8Region> regions = ans8_regions(order, models, sorted.size(), 0);
  std::size_t coded = 0;
  for (const Ans8Region& region : regions) coded += region.main;
  if (coded == 0) return;
  const std::size_t units = tail_units(regions, models, sorted, coded);
  const std::size_t tail = units * kAns8Unit + coded % kAns8Unit;
  regions = ans8_regions(order, models, sorted.size(), tail);
  out.push_back(static_cast<std::uint8_t>(units));
  std::vector<std::uint16_t> serial = encode_serially(regions, models, sorted);
  if (tail == coded) {
    append_words(serial, out);
    return;
  }
  serial.resize(std::max(serial.size(), kAns8PayloadWords));
  States states;
  for (std::size_t i = 0; i < kAns8PayloadWords; ++i) {
    states[2 * i] = kLow | (serial[i] & 0xff);
    states[2 * i + 1] = kLow | serial[i] >> 8;
  }
  LaneEncoder lanes(states, coded - tail);
  std::size_t unit = (coded - tail) / kAns8Unit;
  for (std::size_t r = regions.size(); r-- > 0;) {
    if (regions[r].main == 0) continue;
    lanes.put(models[regions[r].c], sorted.subspan(regions[r].begin, regions[r].main), unit - 1);
    unit -= regions[r].main / kAns8Unit;
  }

  BitWriter state_bits(out);
  for (const std::uint32_t state : lanes.states()) {
    state_bits.put(static_cast<std::uint32_t>(std::bit_width(state)) - kAns8Bits - 1, 3);
  }
  for (const std::uint32_t state : lanes.states()) state_bits.put(state, std::bit_width(state) - 1);
  std::vector<std::uint8_t> planes;
  BitWriter bits(out);
  for (const Ans8Region& region : regions) {
    const Ans8Model& model = models[region.c];
    if (model.raw_bits == 0 || region.main == 0) continue;
    std::vector<std::uint8_t> fields;
    for (const std::int8_t weight : sorted.subspan(region.begin, region.main)) {
      const Ans8Model::Code& code = code_of(model, weight);
      if (model.symbols[code.symbol].raw) fields.push_back(code.raw);
    }
    if (!model.all_raw()) bits.put(static_cast<std::uint32_t>(fields.size()), std::bit_width(region.main));
    write_ans8_raw(fields, model.raw_bits, planes);
  }
  out.insert(out.end(), planes.begin(), planes.end());
  out.insert(out.end(), lanes.bytes().begin(), lanes.bytes().end());
  append_words(std::span(serial).subspan(kAns8PayloadWords), out);
}

}  // namespace twofold
