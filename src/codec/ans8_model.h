#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "codec/entropy.h"

namespace twofold {

inline constexpr int kAns8Bits = 8;  // frequencies are multiples of 2^-8
inline constexpr int kAns8Total = 1 << kAns8Bits;
inline constexpr std::size_t kAns8Symbols = 32;  // at most
inline constexpr int kAns8MaxRawBits = 3;

/// A symbol of the `ans8` codec stands for one value, or for 2^raw_bits consecutive values that raw bits tell
/// apart.
struct Ans8Symbol {
  std::uint8_t frequency = 0;  // 1-255
  std::uint8_t start = 0;      // sum of the frequencies before
  std::int8_t base = 0;        // its value, or the smallest of its values
  bool raw = false;            // whether raw bits follow
};

/// What the `ans8` codec knows about the weights of a class.
///
/// The values are cut into cells: a zone of single values, and on both sides of it buckets of 2^raw_bits
/// values. A cell with a frequency is a symbol. The values of low..high in no such cell are rare; they share
/// the escape symbol and are told apart by an index that the chunk stores apart.
struct Ans8Model {
  enum class Kind : std::uint8_t { kEmpty, kOneValue, kCoded };

  Kind kind = Kind::kEmpty;
  int low = 0;  // smallest and largest weight
  int high = 0;
  int raw_bits = 0;                     // 0 ... kAns8MaxRawBits
  int zone = 0;                         // first value of the zone
  int zone_size = 0;                    // values
  int below = 0;                        // buckets
  int above = 0;                        // buckets
  std::vector<std::uint8_t> frequency;  // of each cell in rising order; 0: its values are rare

  // What follows from the above.
  std::vector<Ans8Symbol> symbols;  // by falling frequency, then rising value; the escape last
  int escape = -1;                  // the escape symbol, or -1; its base is rare[0]
  std::vector<std::int8_t> rare;    // values coded by escape and index, rising
  struct Code {
    std::uint8_t symbol = 0xff;  // 0xff: the value has no code
    std::uint8_t raw = 0;
    std::uint8_t rare = 0;
  };
  std::array<Code, 256> codes{};  // by the weight's byte

  /// Whether every symbol but the escape has raw bits. Then the escape has them as well (zeros).
  bool all_raw() const { return raw_bits > 0 && zone_size == 0; }
};

/// The model that makes table and chunks smallest; a little larger where that decodes faster.
Ans8Model make_ans8_model(const Histogram& histogram);

/// Compact form of a model, as the container stores it.
std::vector<std::uint8_t> write_ans8_model(const Ans8Model& model);

/// Reads a hostile table; anything but what `write_ans8_model` can write is an Error.
Ans8Model read_ans8_model(std::span<const std::uint8_t> table);

/// Bits that the model needs for weights with this histogram and for its table. Every weight must have a
/// code.
double ans8_cost(const Ans8Model& model, const Histogram& histogram);

}  // namespace twofold
