#include "eval/lab/rates.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

namespace twofold {

namespace {

using Curve = std::vector<std::pair<double, double>>;  // bits, log KL; by bits

std::optional<double> kl_at(const Curve& curve, double bits) {
  const auto high =
      std::find_if(curve.begin(), curve.end(), [&](const auto& point) { return point.first >= bits; });
  if (high == curve.end()) return std::nullopt;
  if (high->first == bits) return std::exp(high->second);
  if (high == curve.begin()) return std::nullopt;
  const auto low = high - 1;
  const double part = (bits - low->first) / (high->first - low->first);
  return std::exp(low->second + part * (high->second - low->second));
}

}  // namespace

std::vector<LabPoint> rate_points() {
  std::vector<LabPoint> points;
  const auto add = [&](const char* name, std::string label, auto change) {
    Recipe recipe = load_recipe(name);
    change(recipe);
    points.push_back({std::move(label), std::move(recipe)});
  };
  for (const double bits : {2.0, 2.3, 2.6, 3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0})
    add("best", fmt::format("best, {} bits coded", bits), [&](Recipe& r) { r.bits = bits; });
  for (const double bits : {2.3, 3.0, 4.0, 5.0, 6.0})
    add("watersic", fmt::format("watersic, {} bits coded", bits), [&](Recipe& r) { r.bits = bits; });
  for (const double lambda : {0.02, 0.1, 0.5, 2.0, 10.0})
    add("entquant", fmt::format("entquant, λ {}", lambda), [&](Recipe& r) { r.lambda = lambda; });
  for (const char* name : {"gptq", "rtn-row", "smoothquant", "dc"}) {
    for (const int width : {8, 7, 6, 5, 4, 3})
      add(name, fmt::format("{}, {} bits", name, width), [&](Recipe& r) { r.width = width; });
  }
  for (const double sparsity : {0.2, 0.4})
    add("dc", fmt::format("dc, {:.0f} % pruned", 100 * sparsity), [&](Recipe& r) { r.sparsity = sparsity; });
  return points;
}

Json analyse_rates(const Json& points) {
  Curve curve;
  for (const Json& point : points) {
    if (point.at("recipe").at("recipe") != "best") continue;
    curve.emplace_back(point.at("bits_per_weight").get<double>(), std::log(point.at("kl").get<double>()));
  }
  std::sort(curve.begin(), curve.end());
  Json rows = Json::array();
  for (const Json& point : points) {
    if (point.at("recipe").at("recipe") == "best") continue;
    const auto best = kl_at(curve, point.at("bits_per_weight").get<double>());
    if (!best) continue;
    rows.push_back({{"label", point.at("label")},
                    {"bits_per_weight", point.at("bits_per_weight")},
                    {"kl", point.at("kl")},
                    {"best_kl", *best}});
  }
  return rows;
}

}  // namespace twofold
