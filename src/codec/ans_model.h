#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "codec/entropy.h"

namespace twofold {

inline constexpr int kAnsBits = 12;  // frequencies are multiples of 2^-12
inline constexpr std::uint32_t kAnsTotal = 1u << kAnsBits;

/// The symbols of the `ans` codec are the weights' values plus 128.
inline std::uint8_t ans_symbol(std::int8_t weight) {
  return static_cast<std::uint8_t>(static_cast<std::uint8_t>(weight) ^ 0x80u);
}
inline std::int8_t ans_weight(std::size_t symbol) {
  return static_cast<std::int8_t>(static_cast<std::uint8_t>(symbol) ^ 0x80u);
}

/// First slot of symbol i of `count` (1-4096) that share the slots evenly.
inline std::uint32_t ans_even_start(std::size_t i, std::size_t count) {
  return static_cast<std::uint32_t>(i * kAnsTotal / count);
}

/// What the `ans` codec knows about a tensor: the table in its usable form.
///
/// A symbol with a frequency codes itself. Values too rare to deserve 1/4096 share one frequency, that of
/// the escape symbol (the smallest of them), and are told apart by an index that the chunk stores apart.
struct AnsModel {
  enum class Kind : std::uint8_t { kEmpty, kOneValue, kCoded };

  Kind kind = Kind::kEmpty;
  int low = 0;  // smallest and largest symbol of the tensor
  int high = 0;
  int escape = -1;                             // the escape symbol, or -1
  std::array<std::uint16_t, 256> frequency{};  // 0 or 1-4095; sum 4096 when kCoded
  std::array<std::uint16_t, 256> start{};      // sum of the frequencies before
  std::vector<std::uint8_t> rare;              // symbols coded by escape and index; rare[0] == escape
  std::array<std::uint8_t, 256> rare_index{};

  /// First slot (of 4096) of an index into `rare`; the indices share the slots evenly.
  std::uint32_t rare_start(std::size_t index) const { return ans_even_start(index, rare.size()); }
};

/// The model that makes table and chunks smallest.
AnsModel make_ans_model(const Histogram& histogram);

/// Compact form of a model, as the container stores it.
std::vector<std::uint8_t> write_ans_model(const AnsModel& model);

/// Reads a hostile table; anything but what `write_ans_model` can write is an Error.
AnsModel read_ans_model(std::span<const std::uint8_t> table);

}  // namespace twofold
