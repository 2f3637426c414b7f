#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plan/assignment.h"
#include "plan/machine_profile.h"
#include "plan/model_costs.h"
#include "runtime/residency.h"

namespace twofold {

/// How one tensor is kept.
struct TensorPlan {
  std::size_t codec = 0;  // in ModelCosts::codecs
  bool streamed = false;  // read from storage by every pass
};

/// One of these for each of ModelCosts::tensors.
using Plan = std::vector<TensorPlan>;

struct PlannerOptions {
  int threads = 0;             // 0: the most that were measured
  std::int64_t context = 512;  // tokens in the caches: for their memory and for attention
  std::uint64_t process = 0;   // memory of a program that has opened the model, see process_memory
};

struct Prediction {
  double seconds = 0;              // of a token
  double compute = 0;              // of that in linear layers and the rest of the model, everything in memory
  double io = 0;                   // reading from storage
  std::uint64_t stored_bytes = 0;  // of all tensors
  std::uint64_t weight_memory = 0;  // of those in memory
  std::uint64_t memory = 0;         // + process, caches, activations, buffers
  std::uint64_t streamed_bytes = 0;
  double tokens_per_second() const { return 1 / seconds; }
};

/// A plan that was searched for.
struct BestPlan {
  Plan plan;
  Prediction prediction;
  double gap = 0;      // how far it may be from the best by the model, as a share: of time, or of memory
  bool exact = false;  // proven to be the best
};

/// Predicts what a model's plans cost on a machine, and finds good ones.
class Planner {
 public:
  /// `overhead`: seconds of a token's pass outside of linear layers, see measure_pass_overhead.
  Planner(ModelCosts model, MachineProfile machine, const PlannerOptions& options, double overhead);

  const ModelCosts& model() const { return model_; }
  const MachineProfile& machine() const { return machine_; }
  int threads() const { return threads_; }

  Prediction predict(const Plan& plan) const;

  Plan uniform(std::size_t codec) const;
  /// What the directory has.
  Plan stored() const;
  /// The paper's scheme (arXiv 2502.15443): of every `n` consecutive chunks the last one has `codec`, the
  /// others are raw. A chunk is a tensor, or so many layers.
  Plan one_in(std::int64_t n, std::size_t codec, std::int64_t layers_per_chunk) const;

  /// The same codecs with what does not fit `memory` streamed. Nothing when that is not possible.
  std::optional<BestPlan> within(const Plan& plan, std::uint64_t memory) const;
  /// The fastest plan of at most `memory` bytes; of equally fast ones a small one. Throws Error when the
  /// model cannot run in so few. With `only` every tensor has that codec.
  BestPlan fastest(std::optional<std::uint64_t> memory, std::optional<std::size_t> only = {}) const;
  /// The plan of least memory that needs at most `seconds` for a token; without it the smallest that streams
  /// nothing.
  BestPlan smallest(std::optional<double> seconds) const;

  /// Memory that streamed tensors pass through, when there are any.
  std::uint64_t buffer_bytes() const { return buffer_bytes_; }
  /// Memory besides weights and that buffer.
  std::uint64_t other_memory() const;

 private:
  double compute_seconds(const TensorCost& tensor, std::size_t codec) const;
  double io_seconds(const TensorCost& tensor, std::size_t codec) const;

  struct Problem;
  Problem make_problem(std::optional<std::size_t> only, const Plan* codecs, bool stream) const;
  Plan spread(const Problem& problem, const Assignment& assignment) const;
  BestPlan solve_within(const Problem& problem, std::optional<std::uint64_t> memory) const;

  ModelCosts model_;
  MachineProfile machine_;
  PlannerOptions options_;
  int threads_ = 1;
  double overhead_ = 0;
  std::uint64_t buffer_bytes_ = 0;
};

/// Where each weight of a plan lives, as the runtime takes it.
ResidencyPlan residency_plan(const Planner& planner, const Plan& plan);
/// The same of a plan file; a tensor without a residency is resident. Throws Error that names file and field.
ResidencyPlan read_residency_plan(const std::filesystem::path& path);
ResidencyPlan parse_residency_plan(const Json& json, std::string_view where);

/// Writes the plan for `compress --plan`, `transcode --plan` and the runtime; replaces the file.
void save_plan(const Planner& planner, const BestPlan& best, const std::filesystem::path& path);

}  // namespace twofold
