#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/cpu.h"
#include "base/error.h"
#include "base/random.h"
#include "codec/codec.h"

namespace twofold::fuzz {

/// Takes values from the front of a fuzzer's input; zeros when it has ended.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : bytes_(data, size) {}

  std::uint8_t byte() {
    if (bytes_.empty()) return 0;
    const std::uint8_t value = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return value;
  }
  std::size_t number() {  // 16 bits
    const std::size_t low = byte();
    return low | static_cast<std::size_t>(byte()) << 8;
  }
  std::vector<std::uint8_t> take(std::size_t count) {
    const auto part = bytes_.first(count < bytes_.size() ? count : bytes_.size());
    bytes_ = bytes_.subspan(part.size());
    return {part.begin(), part.end()};
  }
  std::vector<std::uint8_t> rest() { return take(bytes_.size()); }

 private:
  std::span<const std::uint8_t> bytes_;
};

inline const Codec& pick_codec(Input& input) {
  return *codecs()[input.byte() % codecs().size()];
}

/// Rows of `cols` weights drawn from the bytes that are left, so that any histogram can come up at any
/// length. Each column draws from the values that begin at one of four places, so that columns can differ.
inline std::vector<std::int8_t> draw_weights(Input& input, std::size_t cols) {
  std::vector<std::int8_t> weights(input.number() % 9000 / cols * cols);
  Random random(input.number());
  const std::size_t kinds = 1 + input.byte() % 4;
  const std::vector<std::uint8_t> values = input.rest();
  for (std::size_t i = 0; i < weights.size() && !values.empty(); ++i) {
    const std::size_t skip = values.size() * (i % cols % kinds) / kinds;
    weights[i] = static_cast<std::int8_t>(values[skip + random.below(values.size() - skip)]);
  }
  return weights;
}

inline void check(bool condition) {
  if (!condition) std::abort();
}

inline std::optional<std::vector<std::int8_t>> decode(const Decoder& decoder,
                                                      std::span<const std::uint8_t> coded,
                                                      std::size_t count) {
  std::vector<std::int8_t> out(count);
  try {
    decoder.decode(coded, out);
  } catch (const Error&) {
    return std::nullopt;
  }
  return out;
}

/// Decodes rows of `cols` weights with the codec on every instruction set this machine can run; all must
/// agree.
inline std::optional<std::vector<std::int8_t>> decode_all(const Codec& codec,
                                                          const std::vector<std::uint8_t>& table,
                                                          std::int64_t cols,
                                                          const std::vector<std::uint8_t>& coded,
                                                          std::size_t count) {
  std::unique_ptr<Decoder> decoder;
  try {
    decoder = codec.make_decoder(table, cols);
  } catch (const Error&) {
    return std::nullopt;
  }
  const auto result = decode(*decoder, coded, count);
  for (const Isa isa : available_isas()) {
    check(decode(*codec.make_decoder(table, cols, isa), coded, count) == result);
  }
  return result;
}

}  // namespace twofold::fuzz
