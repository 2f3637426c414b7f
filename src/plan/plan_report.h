#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "plan/planner.h"

namespace twofold {

/// A plan to compare others with.
struct PlanRow {
  std::string name;
  Plan plan;
  std::optional<Prediction> prediction;  // none: it does not fit the memory
};

/// Nothing compressed, everything in each codec, the paper's one in N for N from 1 to 8 with tensors and with
/// single layers as chunks, in `scheme_codec`, and what the directory has. With `memory`, what does not fit
/// is streamed.
std::vector<PlanRow> common_plans(const Planner& planner, std::string_view scheme_codec,
                                  std::optional<std::uint64_t> memory);

/// How many tensors have which codec, and how many are streamed: "packed 120, ans 35; 12 streamed".
std::string describe(const Planner& planner, const Plan& plan);

/// Tokens per second over memory.
struct MemoryPoint {
  std::uint64_t memory = 0;
  double tokens_per_second = 0;
};

/// The best plans from the least memory that works to that of everything as INT8, with all codecs or with
/// one.
std::vector<MemoryPoint> memory_curve(const Planner& planner, std::optional<std::size_t> only, int points);

/// Both curves, of all codecs and of raw INT8, as a self-contained SVG.
std::string memory_plot(const Planner& planner);

}  // namespace twofold
