#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/cpu.h"
#include "codec/ans8_model.h"

namespace twofold {

inline constexpr std::size_t kAns8Unit = 64;   // lanes of a group; weights decoded at a time
inline constexpr std::size_t kAns8Groups = 2;  // they take turns, so that none waits for its last turn
inline constexpr std::size_t kAns8Columns = 32;
inline constexpr std::size_t kAns8Positions = 8;  // slot = column (5 bits) * 8 + position

/// Which weights have raw bits: none, all (that many each), or some.
enum class Ans8Raw : std::uint8_t { kNone, kOne, kTwo, kThree, kSome };

/// The table in the form in which slots are decoded: 32 columns of 8 slots, each shared by at most two
/// symbols (Walker's alias method, 1977), so that all look-ups are in 32 bytes. The first own[c] slots of
/// column c belong to symbol c, where they have the numbers 0, 1, ... among the symbol's slots; the others
/// belong to symbol alias[c] and have the number position + offset[c] mod 256. All arrays are there twice in
/// a row, for look-ups that take 6 bits.
struct alignas(64) Ans8Tables {
  using Bytes = std::array<std::uint8_t, 64>;
  Bytes own{};
  Bytes alias{};
  Bytes offset{};
  Bytes frequency{};  // by symbol
  Bytes base{};       // by symbol: the weight, raw bits to be added
  Bytes raw{};        // by symbol: 0xff when raw bits follow

  /// The same by slot: bits 0-7 base, 8-15 frequency, 16-23 number of the slot among its symbol's, 24-31 raw.
  std::array<std::uint32_t, 256> slots{};

  Ans8Raw raw_kind = Ans8Raw::kNone;
  bool large = false;  // a frequency above 127
};

/// The 16-bit states, as bytes. Each is at least 256.
struct alignas(64) Ans8States {
  std::array<std::array<std::uint8_t, kAns8Unit>, kAns8Groups> low;
  std::array<std::array<std::uint8_t, kAns8Unit>, kAns8Groups> high;
};

/// Where the decoding of the lanes stands.
struct Ans8Cursor {
  const std::uint8_t* bytes;    // what the states read
  const std::uint8_t* end;      // of the bytes that may be read
  const std::uint8_t* raw;      // raw bits: planes (ans8_raw.h) when all weights have them, 8 bytes a bit; or
                                // one byte for each weight that has some
  const std::uint8_t* raw_end;  // of those that may be read
  std::int8_t* out;
  std::size_t units;  // left to do
  std::size_t group;  // whose turn it is
};

/// The inner loop of the `ans8` codec, one function per instruction set, all with the same result. Decodes
/// units of 64 weights until none is left or fewer bytes than a unit may take: 64, and of raw bytes 8 a bit
/// when all weights have raw bits, 64 when some have. So a unit need not look where they end.
using Ans8LanesFunction = void (*)(const Ans8Tables& tables, Ans8States& states, Ans8Cursor& cursor);

void ans8_lanes_scalar(const Ans8Tables& tables, Ans8States& states, Ans8Cursor& cursor);
void ans8_lanes_avx2(const Ans8Tables& tables, Ans8States& states, Ans8Cursor& cursor);    // x86-64 only
void ans8_lanes_avx512(const Ans8Tables& tables, Ans8States& states, Ans8Cursor& cursor);  // x86-64 only

/// The function for an instruction set.
Ans8LanesFunction ans8_lanes(Isa isa);

/// Most raw bytes a unit takes.
constexpr std::ptrdiff_t ans8_raw_unit(Ans8Raw kind) {
  return kind == Ans8Raw::kSome ? static_cast<std::ptrdiff_t>(kAns8Unit) : 8 * static_cast<int>(kind);
}

/// Whether the inner loops go on, `units` at a time.
inline bool ans8_goes_on(const Ans8Cursor& cursor, Ans8Raw kind, std::ptrdiff_t units) {
  return cursor.units >= static_cast<std::size_t>(units) &&
         cursor.end - cursor.bytes >= units * static_cast<std::ptrdiff_t>(kAns8Unit) &&
         (kind == Ans8Raw::kNone || cursor.raw_end - cursor.raw >= units * ans8_raw_unit(kind));
}

}  // namespace twofold
