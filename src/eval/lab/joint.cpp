#include "eval/lab/joint.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace twofold {

namespace {

constexpr int kWidths[] = {2, 3, 4, 5, 6, 7, 8};
constexpr double kSame = 1e-9;

std::vector<int> widths_for(double tcr) {
  std::vector<int> widths;
  for (const int width : kWidths)
    if (sparsity_for(tcr, width) > -kSame) widths.push_back(width);
  return widths;
}

/// Mean over tasks, chance removed; see joint.h.
double retention(const Json& point, const Json& reference) {
  double sum = 0;
  int count = 0;
  const Json none = Json::object();
  const Json& tasks = point.contains("tasks") ? point.at("tasks") : none;
  for (const auto& [name, task] : tasks.items()) {
    const Json& base = reference.at("tasks").at(name);
    const char* metric = task.contains("acc_norm") ? "acc_norm" : task.contains("acc") ? "acc" : "contains";
    const double chance = task.value("chance", 0.0);
    const double best = base.at(metric).get<double>() - chance;
    if (best <= 0) continue;  // the original knows nothing that could be retained
    sum += (task.at(metric).get<double>() - chance) / best;
    ++count;
  }
  if (count > 0) return sum / count;
  return reference.at("perplexity").get<double>() / point.at("perplexity").get<double>();
}

struct Row {
  std::string label;
  double width = 16, sparsity = 0, rate = 0, sr = 0, kl = 0;
  double srcr = std::numeric_limits<double>::quiet_NaN();
  std::string kind;

  Json json() const {
    Json row = {{"label", label}, {"kind", kind}, {"width", width}, {"sparsity", sparsity},
                {"tcr", rate},    {"sr", sr},     {"kl", kl}};
    if (!std::isnan(srcr)) row["srcr"] = srcr;
    return row;
  }
};

Row make_row(const Json& point, const Json& reference) {
  Row row;
  const Json& recipe = point.at("recipe");
  row.label = point.at("label").get<std::string>();
  row.sparsity = recipe.at("sparsity").get<double>();
  row.width = recipe.at("width").get<double>();
  row.sr = retention(point, reference);
  row.kl = point.at("kl").get<double>();
  // Loss-free integers of 8 bits stand for the 16 bits of pruning alone.
  const bool pruning = row.label.starts_with("pruning alone");
  if (pruning) row.width = 16;
  row.kind = pruning ? "pruning" : row.sparsity == 0 ? "quantization" : "pair";
  row.rate = compression_rate(row.width, row.sparsity);
  if (pruning) row.srcr = row.sr * std::sqrt(row.sparsity);
  if (row.kind == "quantization") row.srcr = row.sr * std::log2(16 / row.width);
  return row;
}

Json best_of(const std::vector<Row>& rows, const std::function<bool(const Row&)>& wanted,
             const std::function<double(const Row&)>& score) {
  const Row* best = nullptr;
  for (const Row& row : rows)
    if (wanted(row) && (best == nullptr || score(row) > score(*best))) best = &row;
  return best == nullptr ? Json() : best->json();
}

}  // namespace

double compression_rate(double width, double sparsity) {
  return 1 - width / 16 * (1 - sparsity);
}

double sparsity_for(double tcr, double width) {
  return 1 - (1 - tcr) * 16 / width;
}

LabPoint joint_point(int width, double sparsity) {
  Recipe recipe = load_recipe("gptq");
  recipe.name = "joint";
  recipe.width = width;
  recipe.pruner = "sparsegpt";
  recipe.sparsity = std::max(0.0, sparsity);
  if (recipe.sparsity < kSame) recipe.sparsity = 0;
  return {recipe.sparsity > 0 ? fmt::format("{} bits, {:.1f} % pruned", width, 100 * recipe.sparsity)
                              : fmt::format("{} bits", width),
          recipe};
}

std::vector<double> joint_rates() {
  return {0.75, 0.8125, 0.875};
}

std::vector<LabPoint> joint_points() {
  std::vector<LabPoint> points;
  std::vector<double> sparsities = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7};
  for (const double rate : joint_rates()) sparsities.push_back(rate);
  for (const double sparsity : sparsities) {
    LabPoint point = joint_point(8, sparsity);
    point.label = fmt::format("pruning alone, {:.2f} %", 100 * sparsity);
    points.push_back(std::move(point));
  }
  for (const int width : kWidths) points.push_back(joint_point(width, 0));
  for (const double rate : joint_rates()) {
    for (const int width : widths_for(rate))
      if (sparsity_for(rate, width) > kSame) points.push_back(joint_point(width, sparsity_for(rate, width)));
  }
  return points;
}

Json analyse_joint(const Json& points, const Json& reference) {
  std::vector<Row> rows;
  for (const Json& point : points) rows.push_back(make_row(point, reference));
  Json result = {{"rows", Json::array()}, {"equal_rate", Json::array()}, {"pareto", Json::array()}};
  result["retention"] =
      reference.contains("tasks") && !reference.at("tasks").empty() ? "tasks" : "perplexity";
  for (const Row& row : rows) result["rows"].push_back(row.json());
  const auto srcr = [](const Row& row) { return row.srcr; };
  for (const char* kind : {"pruning", "quantization"})
    result["best"][kind] = best_of(
        rows, [&](const Row& row) { return row.kind == kind; }, srcr);
  for (const double rate : joint_rates()) {
    Json group = {{"tcr", rate}};
    for (const char* kind : {"pruning", "quantization", "pair"}) {
      group[kind] = best_of(
          rows, [&](const Row& row) { return row.kind == kind && std::abs(row.rate - rate) < 1e-6; },
          [](const Row& row) { return -row.kl; });
    }
    result["equal_rate"].push_back(std::move(group));
  }
  for (const Row& row : rows) {
    const bool beaten = std::any_of(rows.begin(), rows.end(), [&](const Row& other) {
      return other.rate >= row.rate - kSame && other.kl <= row.kl &&
             (other.rate > row.rate + kSame || other.kl < row.kl);
    });
    if (!beaten) result["pareto"].push_back(row.json());
  }
  std::sort(result["pareto"].begin(), result["pareto"].end(), [](const Json& a, const Json& b) {
    return a.at("tcr").get<double>() < b.at("tcr").get<double>();
  });
  return result;
}

JointSearch search_joint(double tcr, const std::function<double(int width, double sparsity)>& measure) {
  const std::vector<int> widths = widths_for(tcr);
  if (!(tcr > 0) || widths.empty() || sparsity_for(tcr, widths.back()) >= 1)
    throw UsageError(
        fmt::format("--search: expected a rate above 0 that 2 to 8 bits can reach, found {}", tcr));
  JointSearch result;
  result.candidates = static_cast<int>(widths.size());
  std::map<std::size_t, double> known;
  // Places 1 to n; those behind n, which fill up the interval, count as infinitely bad.
  const auto kl = [&](std::size_t place) {
    if (place > widths.size()) return std::numeric_limits<double>::infinity();
    const auto it = known.find(place);
    if (it != known.end()) return it->second;
    const int width = widths[place - 1];
    result.measured.push_back(width);
    return known[place] = measure(width, std::max(0.0, sparsity_for(tcr, width)));
  };
  // Fibonacci search (Kiefer 1953), the golden section on whole numbers: the best place lies between `low`
  // and `low` + `size`, both excluded; of the two inner places one is known from the step before.
  std::size_t shorter = 1;
  std::size_t size = 2;
  while (size < widths.size() + 1) {
    const std::size_t next = shorter + size;
    shorter = size;
    size = next;
  }
  std::size_t low = 0;
  while (size > 2) {
    const std::size_t rest = size - shorter;
    if (kl(low + rest) > kl(low + shorter)) low += rest;
    size = shorter;
    shorter = rest;
  }
  const std::size_t best = low + 1;
  result.width = widths[best - 1];
  result.sparsity = std::max(0.0, sparsity_for(tcr, result.width));
  result.kl = kl(best);
  return result;
}

}  // namespace twofold
