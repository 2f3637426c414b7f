#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/cpu.h"
#include "codec/ans8_model.h"

namespace twofold {

inline constexpr std::size_t kAns8Unit = 64;  // lanes of a group; weights decoded at a time
inline constexpr std::size_t kAns8Groups =
    2;  // groups take turns, so that one need not wait for its last turn
inline constexpr std::size_t kAns8Columns = 32;
inline constexpr int kAns8ColumnShift = 3;  // slot = column (5 bits) * 8 + position

/// Which weights have raw bits.
enum class Ans8Raw : std::uint8_t { kNone, kSome, kAll };

/// The table in the form in which slots are decoded: 32 columns of 8 slots, each shared by at most two
/// symbols (Walker's alias method, 1977), so that all look-ups are in 32 bytes. Column c belongs to symbol c
/// in the slots below divider[c] and to symbol alias[c] from there on. All arrays are there twice in a row,
/// for look-ups that take 6 bits.
struct alignas(64) Ans8Tables {
  using Bytes = std::array<std::uint8_t, 64>;
  Bytes divider{};       // a slot: slot >= divider means alias
  Bytes alias{};         // symbol; of a column with one symbol: that symbol
  Bytes own_offset{};    // number of a slot within its symbol - slot, mod 256; column's own symbol
  Bytes alias_offset{};  // the same, alias
  Bytes frequency{};     // by symbol
  Bytes base{};          // by symbol: the weight, raw bits to be added
  Bytes raw{};           // by symbol: 0xff when raw bits follow

  /// The same by slot: bits 0-7 base, 8-15 frequency, 16-23 number of the slot within its symbol, 24-31 raw.
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
  const std::uint8_t* raw;      // raw bits, one byte each weight that has some
  const std::uint8_t* raw_end;  // of those that may be read
  std::int8_t* out;
  std::size_t units;  // left to do
  std::size_t group;  // whose turn it is
};

/// The inner loop of the `ans8` codec, one function per instruction set, all with the same result. Decodes
/// units of 64 weights until none is left or fewer than 64 bytes are left to read of either kind (of raw
/// bytes when the table has some), so that a unit need not look where they end.
using Ans8LanesFunction = void (*)(const Ans8Tables& tables, Ans8States& states, Ans8Cursor& cursor);

void ans8_lanes_scalar(const Ans8Tables& tables, Ans8States& states, Ans8Cursor& cursor);
void ans8_lanes_avx2(const Ans8Tables& tables, Ans8States& states, Ans8Cursor& cursor);    // x86-64 only
void ans8_lanes_avx512(const Ans8Tables& tables, Ans8States& states, Ans8Cursor& cursor);  // x86-64 only

/// The function for an instruction set.
Ans8LanesFunction ans8_lanes(Isa isa);

/// Whether the inner loops go on; `units` at a time.
inline bool ans8_goes_on(const Ans8Cursor& cursor, Ans8Raw kind, std::size_t units) {
  const auto bytes = static_cast<std::ptrdiff_t>(units * kAns8Unit);
  return cursor.units >= units && cursor.end - cursor.bytes >= bytes &&
         (kind == Ans8Raw::kNone || cursor.raw_end - cursor.raw >= bytes);
}

}  // namespace twofold
