#include "cli/size_text.h"

#include <exception>
#include <utility>

#include "base/error.h"

namespace twofold {

std::uint64_t parse_size(const std::string& text, const std::string& flag) {
  constexpr std::pair<const char*, double> kUnits[] = {
      {"", 1},      {"B", 1},        {"kB", 1e3},     {"KB", 1e3},     {"MB", 1e6},    {"GB", 1e9},
      {"TB", 1e12}, {"KiB", 0x1p10}, {"MiB", 0x1p20}, {"GiB", 0x1p30}, {"TiB", 0x1p40}};
  std::size_t used = 0;
  double value = 0;
  try {
    value = std::stod(text, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  double factor = 0;
  for (const auto& [unit, bytes] : kUnits) {
    if (text.substr(used) == unit) factor = bytes;
  }
  if (used == 0 || factor == 0 || !(value * factor >= 1 && value * factor < 1e18))
    throw UsageError(fmt::format("{}: expected a size such as 5GB, 500MB or 2GiB, found \"{}\"", flag, text));
  return static_cast<std::uint64_t>(value * factor);
}

}  // namespace twofold
