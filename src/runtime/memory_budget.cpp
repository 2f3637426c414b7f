#include "runtime/memory_budget.h"

#include <algorithm>
#include <string>

#include "base/error.h"
#include "base/json.h"
#include "base/progress.h"

namespace twofold {

namespace {

constexpr std::int64_t kLeastBlock = 16;                         // tokens of a prompt's pass
constexpr std::uint64_t kMostBuffer = std::uint64_t{256} << 20;  // more does not hide more
constexpr std::uint64_t kMegabyte = 1'000'000;

/// The parts that do not depend on where weights are, for prompts cut to blocks of some size.
struct Fixed {
  std::int64_t tokens = 0;  // of a prompt's pass
  std::uint64_t scratch = 0;
  std::uint64_t total = 0;
};

class Splitter {
 public:
  Splitter(const ModelSpec& spec, const MemoryOptions& options, const MemoryNeeds& needs)
      : spec_(spec), options_(options), needs_(needs) {
    cache_ = cache_bytes(spec, options.use.sequences, options.use.context);
    for (const WeightSize& weight : needs.weights) all_ += weight.resident_bytes();
    smallest_buffer_ = options.buffer > 0 ? options.buffer : 2 * needs.largest_part;
  }

  MemorySplit split() const {
    const Fixed least = fixed(kLeastBlock);
    const std::uint64_t smallest = std::max(least.total + least_for_weights(), needs_.peak);
    if (options_.budget < smallest) refuse(least, least_for_weights(), smallest);

    const Fixed chosen = choose_block(least);
    std::uint64_t room = options_.budget - chosen.total;
    MemorySplit result;
    if (options_.plan.empty() && room >= all_) {
      result.plan = spread_residency(needs_.weights, room);
    } else {
      std::uint64_t buffer = options_.buffer;
      if (buffer == 0)
        buffer = std::clamp(room / 8, smallest_buffer_, std::max(kMostBuffer, smallest_buffer_));
      if (room < buffer) refuse(least, buffer, least.total + buffer);
      room -= buffer;
      result.report.buffer = buffer;
      result.plan = options_.plan.empty() ? spread_residency(needs_.weights, room) : given_plan(room);
    }
    MemoryReport& report = result.report;
    std::uint64_t whole_buffer = 0;  // holds all streamed weights at once
    for (const WeightSize& weight : needs_.weights) {
      const bool resident = result.plan.at(weight.name) == Residency::kResident;
      (resident ? report.resident : report.streamed) += resident ? weight.resident_bytes() : weight.bytes;
      whole_buffer += resident ? 0 : 2 * weight.resident_bytes();
    }
    report.buffer = std::min(report.buffer, whole_buffer);
    report.budget = options_.budget;
    report.process = needs_.process;
    report.cache = cache_;
    report.scratch = chosen.scratch;
    report.block_tokens = chosen.tokens;
    return result;
  }

 private:
  /// All of them resident, or all streamed.
  std::uint64_t least_for_weights() const { return std::min(all_, smallest_buffer_); }

  Fixed fixed(std::int64_t block) const {
    Fixed result;
    result.tokens = std::min(block, options_.use.prompt);
    result.scratch =
        scratch_bytes(spec_, options_.use, std::max(result.tokens, options_.use.tokens), needs_.scratch);
    result.total = needs_.process + cache_ + result.scratch;
    return result;
  }

  /// A prompt's passes each read the streamed weights, so blocks should be large; but what they take is
  /// lost to resident weights in every pass after it. An eighth of what is left is for them.
  Fixed choose_block(const Fixed& least) const {
    const std::uint64_t room = options_.budget - needs_.process - cache_;
    for (std::int64_t block = std::max(options_.use.prompt, kLeastBlock); block > kLeastBlock;
         block = (block + 1) / 2) {
      const Fixed candidate = fixed(block);
      const bool small =
          candidate.scratch <= room / 8 && candidate.total + least_for_weights() <= options_.budget;
      if (small || candidate.total + all_ <= options_.budget) return candidate;
    }
    return least;
  }

  ResidencyPlan given_plan(std::uint64_t room) const {
    ResidencyPlan plan;
    std::uint64_t resident = 0;
    for (const WeightSize& weight : needs_.weights) {
      const auto it = options_.plan.find(weight.name);
      const Residency residency = it == options_.plan.end() ? Residency::kStreamed : it->second;
      if (residency == Residency::kResident) resident += weight.resident_bytes();
      plan[weight.name] = residency;
    }
    for (const auto& [name, residency] : options_.plan) {
      if (!plan.contains(name)) fail("residency plan: {}: the model has no such weight", json_quote(name));
    }
    if (resident > room) {
      fail("residency plan: its resident weights take {}, but {} of the budget of {} are left for them",
           format_bytes(resident), format_bytes(room), format_bytes(options_.budget));
    }
    return plan;
  }

  [[noreturn]] void refuse(const Fixed& least, std::uint64_t weights, std::uint64_t smallest) const {
    // Rounded up, and a little for what differs from run to run.
    const std::uint64_t megabytes = (smallest + smallest / 100) / kMegabyte + 1;
    const std::string opening =
        smallest == needs_.peak ? fmt::format("; opening the model took {}", format_bytes(needs_.peak)) : "";
    fail(
        "memory budget of {}: at least {}MB are needed: program and tables {}, cache of {} positions {}, "
        "scratch {}, weights {}{}",
        format_bytes(options_.budget), megabytes, format_bytes(needs_.process),
        options_.use.sequences * options_.use.context, format_bytes(cache_), format_bytes(least.scratch),
        format_bytes(weights), opening);
  }

  const ModelSpec& spec_;
  const MemoryOptions& options_;
  const MemoryNeeds& needs_;
  std::uint64_t cache_ = 0;
  std::uint64_t all_ = 0;  // memory for all weights
  std::uint64_t smallest_buffer_ = 0;
};

}  // namespace

MemorySplit split_budget(const ModelSpec& spec, const MemoryOptions& options, const MemoryNeeds& needs) {
  return Splitter(spec, options, needs).split();
}

}  // namespace twofold
