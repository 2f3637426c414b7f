#include "compress/scaler.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/json.h"
#include "tensor/dtype.h"

namespace twofold {

namespace {

#define TWOFOLD_ENTRY(...) {__VA_ARGS__},
constexpr Scaler kScalers[] = {TWOFOLD_SCALERS(TWOFOLD_ENTRY)};
#undef TWOFOLD_ENTRY

}  // namespace

std::span<const Scaler> scalers() {
  return kScalers;
}

const Scaler& find_scaler(std::string_view name) {
  std::string names;
  for (const Scaler& one : kScalers) {
    if (one.name == name) return one;
    names += names.empty() ? "" : ", ";
    names += one.name;
  }
  fail("expected one of {}, found {}", names, json_quote(name));
}

std::vector<float> storable_scales(std::vector<double> scales) {
  double mean = 0;
  for (const double s : scales) mean += s / static_cast<double>(scales.size());
  std::vector<float> stored;
  for (const double s : scales) {
    const double safe = std::isfinite(mean) && mean > 0 ? std::clamp(s, 1e-4 * mean, 1e4 * mean) : 1.0;
    stored.push_back(bf16_to_float(float_to_bf16(static_cast<float>(safe))));
  }
  return stored;
}

}  // namespace twofold
