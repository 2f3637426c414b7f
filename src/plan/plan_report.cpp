#include "plan/plan_report.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/interrupt.h"
#include "plan/svg_plot.h"

namespace twofold {

namespace {

constexpr std::int64_t kLargestN = 8;  // of one in N
constexpr int kCurvePoints = 32;

void add_row(const Planner& planner, std::string name, Plan plan, std::optional<std::uint64_t> memory,
             std::vector<PlanRow>& rows) {
  check_interrupt();
  PlanRow row{std::move(name), std::move(plan), {}};
  if (!memory) {
    row.prediction = planner.predict(row.plan);
  } else if (std::optional<BestPlan> fitting = planner.within(row.plan, *memory)) {
    row.plan = std::move(fitting->plan);
    row.prediction = fitting->prediction;
  }
  rows.push_back(std::move(row));
}

}  // namespace

std::vector<PlanRow> common_plans(const Planner& planner, std::string_view scheme_codec,
                                  std::optional<std::uint64_t> memory) {
  const ModelCosts& model = planner.model();
  const std::size_t scheme = model.codec_index(scheme_codec);
  std::vector<PlanRow> rows;
  for (std::size_t c = 0; c < model.codecs.size(); ++c) {
    const std::string name =
        model.codecs[c] == "raw" ? "nothing compressed (raw INT8)" : fmt::format("all {}", model.codecs[c]);
    add_row(planner, name, planner.uniform(c), memory, rows);
  }
  for (const std::int64_t layers : {0, 1}) {
    for (std::int64_t n = 1; n <= kLargestN; ++n) {
      const std::string name =
          fmt::format("{} 1 in {} {}", scheme_codec, n, layers > 0 ? "layers" : "tensors");
      add_row(planner, name, planner.one_in(n, scheme, layers), memory, rows);
    }
  }
  add_row(planner, "as stored", planner.stored(), memory, rows);
  return rows;
}

std::string describe(const Planner& planner, const Plan& plan) {
  const std::vector<std::string>& codecs = planner.model().codecs;
  std::vector<int> counts(codecs.size(), 0);
  int streamed = 0;
  for (const TensorPlan& tensor : plan) {
    ++counts[tensor.codec];
    streamed += tensor.streamed ? 1 : 0;
  }
  std::string text;
  for (std::size_t c = 0; c < codecs.size(); ++c) {
    if (counts[c] > 0) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", codecs[c], counts[c]);
  }
  if (streamed > 0) text += fmt::format("; {} streamed", streamed);
  return text;
}

std::vector<MemoryPoint> memory_curve(const Planner& planner, std::optional<std::size_t> only, int points) {
  const std::uint64_t most = planner.predict(planner.uniform(planner.model().codec_index("raw"))).memory;
  const std::uint64_t least = planner.other_memory();
  std::vector<MemoryPoint> curve;
  for (int i = 1; i <= points; ++i) {
    check_interrupt();
    const double share = 1.05 * static_cast<double>(i) / points;
    const auto memory = least + static_cast<std::uint64_t>(share * static_cast<double>(most - least));
    try {
      curve.push_back({memory, planner.fastest(memory, only).prediction.tokens_per_second()});
    } catch (const Interrupted&) {
      throw;
    } catch (const Error&) {
      // Too little memory for this point.
    }
  }
  return curve;
}

std::string memory_plot(const Planner& planner) {
  const auto series = [&](std::string label, std::optional<std::size_t> only) {
    PlanSeries line{std::move(label), {}};
    for (const MemoryPoint& point : memory_curve(planner, only, kCurvePoints))
      line.points.push_back({static_cast<double>(point.memory) / 1e9, point.tokens_per_second});
    return line;
  };
  const std::string model = std::filesystem::path(planner.model().directory).filename().string();
  return svg_plot(
      {.title = fmt::format("{}: predicted decode speed", model),
       .x_label = "memory (GB)",
       .y_label = "tokens/s",
       .series = {series("compressed", {}), series("raw INT8", planner.model().codec_index("raw"))}});
}

}  // namespace twofold
