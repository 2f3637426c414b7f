#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/cpu.h"
#include "base/error.h"
#include "codec/ans.h"
#include "codec/test_weights.h"

namespace twofold {

/// ans_lanes_avx512 computed by SIMDe, see extra.cmake; x86-64 only.
void ans_lanes_avx512_emulated(const std::uint32_t* table, std::uint32_t* states, AnsCursor& cursor);

struct NamedLanes {
  std::string name;
  AnsLanesFunction function;
};

/// Every inner loop that this machine can run, the scalar one first.
inline std::vector<NamedLanes> all_lanes() {
  std::vector<NamedLanes> all;
  for (const Isa isa : available_isas()) all.push_back({std::string(isa_name(isa)), ans_lanes(isa)});
#if defined(__x86_64__)
  all.push_back({"avx512 emulated", ans_lanes_avx512_emulated});
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

/// As try_decode, with every inner loop of the `ans` codec; all must agree (else the test fails).
std::optional<Weights> try_all_lanes(std::span<const std::uint8_t> table, std::span<const std::uint8_t> coded,
                                     std::size_t count);

}  // namespace twofold
