#include "plan/planner.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "base/aligned.h"
#include "base/error.h"
#include "base/file.h"
#include "compress/codec_plan.h"
#include "plan/latency_model.h"
#include "runtime/memory_budget.h"

namespace twofold {

namespace {

constexpr double kAlike = 0.005;  // tensors of one group differ by at most about this much in size
constexpr std::uint64_t kLeastBuffer = 16 << 20;
constexpr std::uint64_t kMaxPlanBytes = 100'000'000;

const char* residency_name(bool streamed) {
  return streamed ? "streamed" : "resident";
}

}  // namespace

/// The choices of all tensors, alike ones together.
struct Planner::Problem {
  struct Group {
    std::vector<std::size_t> members;  // in ModelCosts::tensors
    std::vector<TensorPlan> plans;     // what each choice is
  };
  std::vector<Group> groups;
  std::vector<ChoiceGroup> choices;
  bool streams = false;
};

Planner::Planner(ModelCosts model, MachineProfile machine, const PlannerOptions& options, double overhead)
    : model_(std::move(model)),
      machine_(std::move(machine)),
      options_(options),
      threads_(machine_.nearest_threads(options.threads)),
      overhead_(overhead) {
  for (const std::string& codec : model_.codecs) machine_.codec(codec, threads_);
  // Room for a tensor that is used and one that comes.
  for (const TensorCost& tensor : model_.tensors) {
    const std::uint64_t largest = *std::min_element(tensor.bytes.begin(), tensor.bytes.end());
    if (!tensor.lookup) buffer_bytes_ = std::max(buffer_bytes_, 2 * largest);
  }
  buffer_bytes_ = std::max(buffer_bytes_, kLeastBuffer);
}

std::uint64_t Planner::other_memory() const {
  ScratchShape shape;
  shape.threads = threads_;
  for (const TensorCost& tensor : model_.tensors) {
    shape.block_weights = std::max(shape.block_weights, static_cast<std::uint64_t>(tensor.chunk_weights));
    shape.block_rows =
        std::max(shape.block_rows, static_cast<std::uint64_t>(tensor.chunk_weights / tensor.cols));
  }
  MemoryUse use;
  use.context = options_.context;
  return options_.process + model_.plain_bytes + cache_bytes(model_.spec, 1, options_.context) +
         scratch_bytes(model_.spec, use, kLeastBlockTokens, shape);
}

double Planner::compute_seconds(const TensorCost& tensor, std::size_t codec) const {
  const double bits = tensor.bits_per_weight(codec);
  if (tensor.lookup) {
    const CodecSpeed& speed = machine_.codec(model_.codecs[codec], 1);
    return static_cast<double>(tensor.chunk_weights) / speed.weights_per_second(bits, tensor.cols);
  }
  const CodecSpeed& speed = machine_.codec(model_.codecs[codec], threads_);
  const double factor = tensor.time_factor.empty() ? 1 : tensor.time_factor[codec];
  return tensor.uses *
         (factor * static_cast<double>(tensor.weights()) / speed.weights_per_second(bits, tensor.cols) +
          speed.channel_seconds * static_cast<double>(tensor.cols) +
          speed.call_seconds / static_cast<double>(tensor.call_members));
}

double Planner::io_seconds(const TensorCost& tensor, std::size_t codec) const {
  const double rate = machine_.storage_rate();
  const auto bytes = static_cast<double>(tensor.bytes[codec]);
  if (!tensor.lookup) return tensor.uses * bytes / rate;
  return bytes * static_cast<double>(tensor.chunk_weights) / static_cast<double>(tensor.weights()) / rate;
}

Prediction Planner::predict(const Plan& plan) const {
  Prediction result;
  std::vector<PassStep> steps;
  const double plain = static_cast<double>(model_.plain_read) / machine_.read_rate(threads_);
  steps.push_back({overhead_ + plain, 0, 0});
  result.stored_bytes = model_.plain_bytes;
  for (std::size_t i = 0; i < plan.size(); ++i) {
    const TensorCost& tensor = model_.tensors[i];
    const std::uint64_t bytes = tensor.bytes[plan[i].codec];
    PassStep step{compute_seconds(tensor, plan[i].codec), 0, 0};
    result.stored_bytes += bytes;
    if (plan[i].streamed) {
      step.io = io_seconds(tensor, plan[i].codec);
      step.bytes = bytes;
      result.streamed_bytes += bytes;
    } else {
      result.weight_memory += bytes;
    }
    steps.push_back(step);
  }
  for (const PassStep& step : steps) {
    result.compute += step.compute;
    result.io += step.io;
  }
  result.seconds = pass_seconds(steps, buffer_bytes_);
  result.memory = result.weight_memory + other_memory() + (result.streamed_bytes > 0 ? buffer_bytes_ : 0);
  return result;
}

Plan Planner::uniform(std::size_t codec) const {
  return Plan(model_.tensors.size(), TensorPlan{codec, false});
}

Plan Planner::stored() const {
  Plan plan;
  for (const TensorCost& tensor : model_.tensors) plan.push_back({tensor.stored, false});
  return plan;
}

Plan Planner::one_in(std::int64_t n, std::size_t codec, std::int64_t layers_per_chunk) const {
  Plan plan = uniform(model_.codec_index("raw"));
  std::int64_t chunk = 0;  // of tensors in layers, counted as they run; what is in no layer stays raw
  for (std::size_t i = 0; i < plan.size(); ++i) {
    const TensorCost& tensor = model_.tensors[i];
    if (tensor.layer < 0) {
      if (n == 1) plan[i].codec = codec;
      continue;
    }
    const std::int64_t number = layers_per_chunk > 0 ? tensor.layer / layers_per_chunk : chunk++;
    if (number % n == n - 1) plan[i].codec = codec;
  }
  return plan;
}

Planner::Problem Planner::make_problem(std::optional<std::size_t> only, const Plan* codecs,
                                       bool stream) const {
  Problem problem;
  problem.streams = stream;
  // Tensors are alike when they have the same shape and use, and about the same size in every codec.
  std::map<std::vector<std::int64_t>, std::size_t> known;
  for (std::size_t i = 0; i < model_.tensors.size(); ++i) {
    const TensorCost& tensor = model_.tensors[i];
    std::vector<std::int64_t> key = {tensor.rows, tensor.cols, tensor.lookup ? 1 : 0, tensor.call_members,
                                     static_cast<std::int64_t>(1e6 * tensor.uses)};
    for (const std::uint64_t bytes : tensor.bytes)
      key.push_back(std::llround(std::log(static_cast<double>(bytes)) / kAlike));
    if (codecs != nullptr) key.push_back(static_cast<std::int64_t>((*codecs)[i].codec));
    const auto [it, added] = known.emplace(std::move(key), problem.groups.size());
    if (added) {
      Problem::Group group;
      for (std::size_t c = 0; c < model_.codecs.size(); ++c) {
        if ((only && *only != c) || (codecs != nullptr && (*codecs)[i].codec != c)) continue;
        group.plans.push_back({c, false});
        if (stream) group.plans.push_back({c, true});
      }
      problem.groups.push_back(std::move(group));
    }
    problem.groups[it->second].members.push_back(i);
  }
  for (const Problem::Group& group : problem.groups) {
    ChoiceGroup choices;
    choices.count = static_cast<std::int64_t>(group.members.size());
    const double share = 1 / static_cast<double>(group.members.size());
    for (const TensorPlan& plan : group.plans) {
      Choice choice;
      for (const std::size_t i : group.members) {
        const TensorCost& tensor = model_.tensors[i];
        choice.compute += share * compute_seconds(tensor, plan.codec);
        if (plan.streamed) {
          choice.io += share * io_seconds(tensor, plan.codec);
        } else {
          choice.bytes += share * static_cast<double>(tensor.bytes[plan.codec]);
        }
      }
      choices.choices.push_back(choice);
    }
    problem.choices.push_back(std::move(choices));
  }
  // What every plan has in common is a group of one choice.
  Choice rest;
  rest.compute = overhead_ + static_cast<double>(model_.plain_read) / machine_.read_rate(threads_);
  problem.choices.push_back({1, {rest}});
  return problem;
}

/// Which members have which choice: each choice's are spread evenly over the order in which they are used, so
/// that streamed tensors come while resident ones compute.
Plan Planner::spread(const Problem& problem, const Assignment& assignment) const {
  Plan plan(model_.tensors.size());
  for (std::size_t g = 0; g < problem.groups.size(); ++g) {
    const Problem::Group& group = problem.groups[g];
    const auto count = static_cast<double>(group.members.size());
    std::vector<double> given(group.plans.size(), 0);
    for (std::size_t m = 0; m < group.members.size(); ++m) {
      // The choice that is furthest behind its share.
      std::size_t next = 0;
      double behind = -2;
      for (std::size_t c = 0; c < group.plans.size(); ++c) {
        const auto share = static_cast<double>(assignment[g][c]);
        if (given[c] >= share) continue;
        const double lag = share * static_cast<double>(m + 1) / count - given[c];
        if (lag > behind) {
          behind = lag;
          next = c;
        }
      }
      ++given[next];
      plan[group.members[m]] = group.plans[next];
    }
  }
  return plan;
}

BestPlan Planner::solve_within(const Problem& problem, std::optional<std::uint64_t> memory) const {
  double budget = std::numeric_limits<double>::infinity();
  const std::uint64_t fixed = other_memory();
  // The buffer is there only when something is streamed: tried without streaming first.
  const std::uint64_t buffer = problem.streams ? buffer_bytes_ : 0;
  if (memory) {
    if (*memory <= fixed + buffer) {
      fail("{} of memory are too few: caches for {} tokens, activations and buffers alone take {}", *memory,
           options_.context, fixed + buffer);
    }
    budget = static_cast<double>(*memory - fixed - buffer);
  }
  BestPlan best;
  // Groups stand for tensors that are only nearly alike: what is over the budget by that is taken off it.
  for (int attempt = 0; attempt < 8; ++attempt) {
    const AssignmentResult found = fastest_assignment(problem.choices, budget);
    best.plan = spread(problem, found.assignment);
    best.prediction = predict(best.plan);
    best.gap = found.gap;
    best.exact = found.exact;
    if (!memory || best.prediction.memory <= *memory) return best;
    budget -= 1.05 * static_cast<double>(best.prediction.memory - *memory);
  }
  fail("no plan fits {} bytes of memory", *memory);
}

std::optional<BestPlan> Planner::within(const Plan& plan, std::uint64_t memory) const {
  BestPlan same{plan, predict(plan), 0, true};
  if (same.prediction.memory <= memory) return same;
  if (machine_.storage_rate() <= 0) return std::nullopt;
  try {
    return solve_within(make_problem({}, &plan, true), memory);
  } catch (const Error&) {
    return std::nullopt;
  }
}

BestPlan Planner::fastest(std::optional<std::uint64_t> memory, std::optional<std::size_t> only) const {
  const bool can_stream = memory && machine_.storage_rate() > 0;
  std::optional<BestPlan> resident;
  try {
    resident = solve_within(make_problem(only, nullptr, false), memory);
  } catch (const Error&) {
    if (!can_stream) throw;
  }
  if (!can_stream) return *resident;
  std::optional<BestPlan> streamed;
  try {
    streamed = solve_within(make_problem(only, nullptr, true), memory);
  } catch (const Error&) {
    if (!resident) throw;
  }
  if (!streamed || (resident && resident->prediction.seconds <= streamed->prediction.seconds))
    return *resident;
  return *streamed;
}

BestPlan Planner::smallest(std::optional<double> seconds) const {
  const auto solve = [&](const Problem& problem, double limit) {
    const AssignmentResult found = smallest_assignment(problem.choices, limit);
    BestPlan best;
    best.plan = spread(problem, found.assignment);
    best.prediction = predict(best.plan);
    best.gap = found.gap;
    best.exact = found.exact;
    return best;
  };
  const Problem resident = make_problem({}, nullptr, false);
  if (!seconds) return solve(resident, std::numeric_limits<double>::infinity());
  std::optional<BestPlan> best;
  try {
    best = solve(resident, *seconds);
  } catch (const Error&) {
    if (machine_.storage_rate() <= 0) throw;
  }
  if (machine_.storage_rate() > 0) {
    // What cannot overlap comes on top of the knapsack's time: ask for less until the whole fits.
    const Problem problem = make_problem({}, nullptr, true);
    double limit = *seconds;
    for (int attempt = 0; attempt < 6; ++attempt) {
      const BestPlan found = solve(problem, limit);
      if (found.prediction.seconds <= *seconds * 1.001) {
        if (!best || found.prediction.memory < best->prediction.memory) best = found;
        break;
      }
      limit *= *seconds / found.prediction.seconds;
    }
  }
  if (!best) fail("no plan takes at most {:.3f} ms a token", 1e3 * *seconds);
  return *best;
}

ResidencyPlan residency_plan(const Planner& planner, const Plan& plan) {
  ResidencyPlan residency;
  for (std::size_t i = 0; i < plan.size(); ++i) {
    residency[planner.model().tensors[i].name] =
        plan[i].streamed ? Residency::kStreamed : Residency::kResident;
  }
  return residency;
}

ResidencyPlan read_residency_plan(const std::filesystem::path& path) {
  return parse_residency_plan(read_json_file(path, kMaxPlanBytes), path.string());
}

ResidencyPlan parse_residency_plan(const Json& json, std::string_view where) {
  json_int(json, "twofold_plan", where, 1, kPlanVersion);
  ResidencyPlan residency;
  for (const auto& [name, entry] : json_object(json, "tensors", where).items()) {
    const std::string at = fmt::format("{}: \"tensors\": {}", where, json_quote(name));
    const std::string text = json_string(entry, "residency", at, residency_name(false));
    if (text != residency_name(true) && text != residency_name(false))
      fail("{}: \"residency\": expected resident or streamed, found {}", at, json_quote(text));
    residency[name] = text == residency_name(true) ? Residency::kStreamed : Residency::kResident;
  }
  return residency;
}

void save_plan(const Planner& planner, const BestPlan& best, const std::filesystem::path& path) {
  const ModelCosts& model = planner.model();
  Json tensors = Json::object();
  std::map<std::size_t, std::uint64_t> weights;  // in each codec
  for (std::size_t i = 0; i < best.plan.size(); ++i) {
    const TensorPlan& plan = best.plan[i];
    tensors[model.tensors[i].name] = {{"codec", model.codecs[plan.codec]},
                                      {"residency", residency_name(plan.streamed)}};
    weights[plan.codec] += model.tensors[i].weights();
  }
  const auto most = std::max_element(weights.begin(), weights.end(),
                                     [](const auto& a, const auto& b) { return a.second < b.second; });
  const Json json = {{"twofold_plan", kPlanVersion},
                     {"model", model.directory},
                     {"codec", most == weights.end() ? "raw" : model.codecs[most->first]},
                     {"threads", planner.threads()},
                     {"predicted",
                      {{"seconds_per_token", best.prediction.seconds},
                       {"memory_bytes", best.prediction.memory},
                       {"stored_bytes", best.prediction.stored_bytes}}},
                     {"tensors", tensors}};
  std::error_code error;
  std::filesystem::path temporary = path;
  temporary += ".partial";
  std::filesystem::remove(temporary, error);
  write_file(temporary, json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  std::filesystem::rename(temporary, path, error);
  if (error) fail("{}: cannot rename the plan to it: {}", path.string(), error.message());
}

}  // namespace twofold
