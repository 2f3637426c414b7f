#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/cpu.h"
#include "base/error.h"
#include "codec/ans.h"
#include "codec/ans8.h"
#include "codec/test_weights.h"

namespace twofold {

/// The AVX-512 loops computed by SIMDe, see extra.cmake; x86-64 only.
void ans_lanes_avx512_emulated(const std::uint32_t* table, std::uint32_t* states, AnsCursor& cursor);
void ans8_lanes_avx512_emulated(const Ans8Tables& tables, Ans8States& states, Ans8Cursor& cursor);

/// A way to decode a codec's chunks.
struct NamedDecoder {
  std::string name;
  std::function<std::unique_ptr<Decoder>(std::span<const std::uint8_t> table, std::int64_t cols)> make;
};

/// The decoder of `ans` with every inner loop that this machine can run, the scalar one first.
inline std::vector<NamedDecoder> ans_decoders() {
  std::vector<NamedDecoder> all;
  const auto add = [&](std::string_view name, AnsLanesFunction lanes) {
    all.push_back({std::string(name), [lanes](std::span<const std::uint8_t> table, std::int64_t cols) {
                     return make_ans_decoder(table, cols, lanes);
                   }});
  };
  for (const Isa isa : available_isas()) add(isa_name(isa), ans_lanes(isa));
#if defined(__x86_64__)
  add("avx512 emulated", ans_lanes_avx512_emulated);
#endif
  return all;
}

/// The same for `ans8`.
inline std::vector<NamedDecoder> ans8_decoders() {
  std::vector<NamedDecoder> all;
  const auto add = [&](std::string_view name, Ans8LanesFunction lanes) {
    all.push_back({std::string(name), [lanes](std::span<const std::uint8_t> table, std::int64_t cols) {
                     return make_ans8_decoder(table, cols, lanes);
                   }});
  };
  for (const Isa isa : available_isas()) add(isa_name(isa), ans8_lanes(isa));
#if defined(__x86_64__)
  add("avx512 emulated", ans8_lanes_avx512_emulated);
#endif
  return all;
}

/// A copy on the heap with nothing behind it, so that the address sanitizer sees reads past the end.
inline std::vector<std::uint8_t> exact(std::span<const std::uint8_t> bytes) {
  return {bytes.begin(), bytes.end()};
}

/// The decoded weights, or nothing when the decoder throws Error.
inline std::optional<Weights> try_decode(const Decoder& decoder, std::span<const std::uint8_t> coded,
                                         std::size_t count) {
  const std::vector<std::uint8_t> copy = exact(coded);
  Weights out(count);
  try {
    decoder.decode(copy, out);
  } catch (const Error&) {
    return std::nullopt;
  }
  return out;
}

/// As try_decode, with every one of the decoders; all must agree (else the test fails). Also nothing when the
/// table is an Error.
inline std::optional<Weights> try_all(const std::vector<NamedDecoder>& decoders,
                                      std::span<const std::uint8_t> table, std::int64_t cols,
                                      std::span<const std::uint8_t> coded, std::size_t count) {
  const std::vector<std::uint8_t> table_copy = exact(table);
  std::optional<Weights> first;
  for (std::size_t i = 0; i < decoders.size(); ++i) {
    std::optional<Weights> result;
    try {
      result = try_decode(*decoders[i].make(table_copy, cols), coded, count);
    } catch (const Error&) {
    }
    if (i == 0) {
      first = result;
    } else {
      EXPECT_EQ(result.has_value(), first.has_value()) << decoders[i].name;
      EXPECT_TRUE(result == first) << decoders[i].name << " decodes other weights than " << decoders[0].name;
    }
  }
  return first;
}

}  // namespace twofold
