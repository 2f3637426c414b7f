#include "codec/plane_table.h"

#include <algorithm>

#include "base/error.h"

namespace twofold {

namespace {

/// Takes bytes from the front of a span; an Error when it is too short.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::uint8_t>& bytes) : bytes_(bytes) {}

  int next() { return take(1)[0]; }

  std::span<const std::uint8_t> take(std::size_t count) {
    if (count > bytes_.size()) fail("table ends early");
    const auto result = bytes_.first(count);
    bytes_ = bytes_.subspan(count);
    return result;
  }

 private:
  std::span<const std::uint8_t>& bytes_;
};

PlaneClass read_plane_class(ByteReader& in) {
  PlaneClass result;
  const int widths = in.next();
  result.low_bits = widths & 15;
  result.root_bits = widths >> 4;
  if (result.code_bits() < 1 || result.code_bits() > 8 || result.root_bits > 5) {
    fail("{} low bits and {} root bits, expected 1 to 8 together and at most 5 root bits", result.low_bits,
         result.root_bits);
  }
  if (result.raw()) return result;
  result.base = in.next();
  if (result.base > 127) result.base -= 256;  // stored as int8
  if (result.root_bits == 0) return result;
  result.levels = in.next();
  if (result.levels > kPlaneMaxLevels) {
    fail("{} levels, expected at most {}", result.levels, kPlaneMaxLevels);
  }
  const auto leaves = in.take(static_cast<std::size_t>(result.levels));
  std::copy(leaves.begin(), leaves.end(), result.leaves.begin());
  if (!result.finish_code())
    fail("the levels do not make a code of at most {} symbols", result.most_symbols());
  const auto values = in.take(static_cast<std::size_t>(result.symbols));
  std::copy(values.begin(), values.end(), result.values.begin());
  result.finish_values();
  if (result.max_value() > 127) fail("a value of {}, expected at most 127", result.max_value());
  return result;
}

}  // namespace

bool PlaneClass::finish_code() {
  // At a level there are `nodes` code words, symbols first ... first + nodes - 1; each that goes on becomes
  // two.
  int first = 0;
  int nodes = 1 << root_bits;
  for (std::size_t j = 0; j < static_cast<std::size_t>(levels); ++j) {
    if (first + nodes > most_symbols() || leaves[j] < first || leaves[j] > first + nodes) return false;
    const int on = first + nodes - leaves[j];
    step[j] = static_cast<std::uint8_t>(on);
    first = leaves[j];
    nodes = 2 * on;
  }
  symbols = first + nodes;
  return symbols <= most_symbols();
}

void PlaneClass::finish_values() {
  for (int code = 0; code < symbols << low_bits; ++code) {
    by_code[static_cast<std::size_t>(code)] = static_cast<std::uint8_t>(
        values[static_cast<std::size_t>(code >> low_bits)] + (code & (low_count() - 1)));
  }
}

int PlaneClass::max_value() const {
  return *std::max_element(values.begin(), values.begin() + symbols) + low_count() - 1;
}

int PlaneTable::levels() const {
  int most = 0;
  for (const PlaneClass& c : classes) most = std::max(most, c.levels);
  return most;
}

std::size_t PlaneTable::groups(std::size_t c) const {
  return static_cast<std::size_t>((columns.begin[c + 1] - columns.begin[c] + kGroupColumns - 1) /
                                  kGroupColumns);
}

std::size_t PlaneTable::row_groups() const {
  return static_cast<std::size_t>((columns.begin.back() + kGroupColumns - 1) / kGroupColumns);
}

std::size_t PlaneTable::row_bytes() const {
  std::size_t bytes = 0;
  for (std::size_t c = 0; c < classes.size(); ++c) bytes += groups(c) * classes[c].group_bytes();
  return bytes;
}

void write_plane_class(const PlaneClass& parameters, std::vector<std::uint8_t>& out) {
  out.push_back(static_cast<std::uint8_t>(parameters.low_bits | parameters.root_bits << 4));
  if (parameters.raw()) return;
  out.push_back(static_cast<std::uint8_t>(parameters.base));
  if (parameters.root_bits == 0) return;
  out.push_back(static_cast<std::uint8_t>(parameters.levels));
  out.insert(out.end(), parameters.leaves.begin(), parameters.leaves.begin() + parameters.levels);
  out.insert(out.end(), parameters.values.begin(), parameters.values.begin() + parameters.symbols);
}

void write_plane_table(const PlaneTable& table, std::vector<std::uint8_t>& out) {
  out.push_back(static_cast<std::uint8_t>(table.correction_format));
  out.push_back(static_cast<std::uint8_t>(table.classes.size()));
  for (const PlaneClass& c : table.classes) write_plane_class(c, out);
  BitWriter bits(out);
  write_column_classes(table.columns, bits);
}

PlaneTable read_plane_table(std::span<const std::uint8_t>& bytes, std::int64_t cols) {
  ByteReader in(bytes);
  PlaneTable table;
  table.correction_format = static_cast<std::size_t>(in.next());
  if (table.correction_format >= kCorrectionFormats.size()) {
    fail("format {} of corrections, expected less than {}", table.correction_format,
         kCorrectionFormats.size());
  }
  const int classes = in.next();
  if (classes < 1 || classes > static_cast<int>(kMaxColumnClasses)) {
    fail("{} classes, expected 1 to {}", classes, kMaxColumnClasses);
  }
  for (int c = 0; c < classes; ++c) table.classes.push_back(read_plane_class(in));
  BitReader map(bytes);
  table.columns = read_column_classes(cols, static_cast<std::size_t>(classes), map);
  in.take(map.finish());
  if (!map.ok()) fail("map of the columns: its padding is not zero");
  return table;
}

}  // namespace twofold
