#include "codec/ans8_tables.h"

#include <algorithm>
#include <vector>

namespace twofold {

namespace {

/// Which two symbols share a column: slots below `own` are the column's own symbol's.
struct Column {
  std::size_t own = kAns8Positions;
  std::size_t alias = 0;
};

/// Vose's form of the alias method (IEEE Trans. Softw. Eng. 17, 1991) in integers: a symbol with fewer than 8
/// slots has its column filled from the one with most, which may then have fewer itself. Taking from the one
/// with most spreads the slots of a symbol evenly, which is what a state of 16 bits needs to code well.
std::array<Column, kAns8Columns> make_columns(const Ans8Model& model) {
  std::array<Column, kAns8Columns> columns;
  std::array<std::size_t, kAns8Columns> left{};  // slots of each symbol not yet given to other columns
  for (std::size_t s = 0; s < model.symbols.size(); ++s) left[s] = model.symbols[s].frequency;
  std::vector<std::size_t> small;  // in the order in which they are filled
  for (std::size_t s = 0; s < kAns8Columns; ++s) {
    columns[s].alias = s;
    if (left[s] < kAns8Positions) small.push_back(s);
  }
  for (std::size_t i = 0; i < small.size(); ++i) {
    const auto donor = static_cast<std::size_t>(std::max_element(left.begin(), left.end()) - left.begin());
    columns[small[i]] = {left[small[i]], donor};
    left[donor] -= kAns8Positions - left[small[i]];
    if (left[donor] < kAns8Positions) small.push_back(donor);
  }
  return columns;
}

}  // namespace

std::array<Ans8Slot, 256> ans8_slots(const Ans8Model& model) {
  const std::array<Column, kAns8Columns> columns = make_columns(model);
  std::array<Ans8Slot, 256> slots;
  std::array<std::size_t, kAns8Columns> next{};  // number among a symbol's slots
  for (std::size_t c = 0; c < kAns8Columns; ++c) next[c] = columns[c].own;
  for (std::size_t slot = 0; slot < slots.size(); ++slot) {
    const std::size_t c = slot / kAns8Positions;
    const std::size_t position = slot % kAns8Positions;
    const bool own = position < columns[c].own;
    const std::size_t s = own ? c : columns[c].alias;
    slots[slot] = {static_cast<std::uint8_t>(s), static_cast<std::uint8_t>(own ? position : next[s]++)};
  }
  return slots;
}

Ans8Tables make_ans8_tables(const Ans8Model& model) {
  Ans8Tables tables;
  const auto put = [](Ans8Tables::Bytes& bytes, std::size_t i, std::size_t value) {
    bytes[i] = bytes[i + kAns8Columns] = static_cast<std::uint8_t>(value);
  };
  const std::array<Column, kAns8Columns> columns = make_columns(model);
  const std::array<Ans8Slot, 256> slots = ans8_slots(model);
  for (std::size_t c = 0; c < kAns8Columns; ++c) {
    put(tables.own, c, columns[c].own);
    put(tables.alias, c, columns[c].alias);
    const std::size_t last = kAns8Positions - 1;
    put(tables.offset, c, slots[c * kAns8Positions + last].number - last);
  }
  for (std::size_t s = 0; s < model.symbols.size(); ++s) {
    const Ans8Symbol& symbol = model.symbols[s];
    put(tables.frequency, s, symbol.frequency);
    put(tables.base, s, static_cast<std::uint8_t>(symbol.base));
    put(tables.raw, s, symbol.raw ? 0xff : 0);
    tables.large = tables.large || symbol.frequency > 127;
    if (symbol.raw) tables.raw_kind = model.all_raw() ? static_cast<Ans8Raw>(model.raw_bits) : Ans8Raw::kSome;
  }
  for (std::size_t slot = 0; slot < slots.size(); ++slot) {
    const std::size_t s = slots[slot].symbol;
    tables.slots[slot] = tables.base[s] | std::uint32_t{tables.frequency[s]} << 8 |
                         std::uint32_t{slots[slot].number} << 16 | std::uint32_t{tables.raw[s]} << 24;
  }
  return tables;
}

}  // namespace twofold
