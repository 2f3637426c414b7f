#include "runtime/memory_budget.h"

#include <algorithm>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/progress.h"

namespace twofold {

namespace {

// Parts of the program that have not run yet, stacks and allocators of threads.
constexpr std::uint64_t kProgram = std::uint64_t{4} << 20;
constexpr std::uint64_t kThread = std::uint64_t{128} << 10;

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
    if (!options.plan.empty()) planned_ = planned_bytes();
  }

  MemorySplit split() const {
    const Fixed least = fixed(kLeastBlockTokens);
    if (planned_ && options_.budget < least.total + least_for_weights()) {
      fail(
          "residency plan: its resident weights take {}, a buffer for others {}, but {} of the budget of {} "
          "are left",
          format_bytes(*planned_), format_bytes(least_for_weights() - *planned_),
          format_bytes(options_.budget - std::min(options_.budget, least.total)),
          format_bytes(options_.budget));
    }
    const std::uint64_t smallest = std::max(least.total + least_for_weights(), needs_.peak);
    if (options_.budget < smallest) refuse(least, least_for_weights(), smallest);

    const Fixed chosen = choose_block(least);
    std::uint64_t room = options_.budget - chosen.total;
    MemorySplit result;
    if (options_.plan.empty() && room >= all_) {
      result.plan = spread_residency(needs_.weights, room);
    } else {
      std::uint64_t buffer = options_.buffer;
      if (planned_ == all_) {
        buffer = 0;
      } else if (buffer == 0) {
        const std::uint64_t share = planned_ ? room - std::min(room, *planned_) : room / 8;
        buffer = std::clamp(share, smallest_buffer_, std::max(kMostBuffer, smallest_buffer_));
      }
      if (room < buffer) refuse(least, buffer, least.total + buffer);
      room -= buffer;
      result.report.buffer = buffer;
      result.plan = options_.plan.empty() ? spread_residency(needs_.weights, room) : given_plan();
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
  /// As planned; else all of them resident, or all streamed.
  std::uint64_t least_for_weights() const {
    if (!planned_) return std::min(all_, smallest_buffer_);
    return *planned_ < all_ ? *planned_ + smallest_buffer_ : all_;
  }

  /// What the plan's residents take.
  std::uint64_t planned_bytes() const {
    std::uint64_t bytes = 0;
    for (const WeightSize& weight : needs_.weights) {
      const auto it = options_.plan.find(weight.name);
      if (it != options_.plan.end() && it->second == Residency::kResident) bytes += weight.resident_bytes();
    }
    return bytes;
  }

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
    for (std::int64_t block = std::max(options_.use.prompt, kLeastBlockTokens); block > kLeastBlockTokens;
         block = (block + 1) / 2) {
      const Fixed candidate = fixed(block);
      const bool small =
          candidate.scratch <= room / 8 && candidate.total + least_for_weights() <= options_.budget;
      if (small || candidate.total + all_ <= options_.budget) return candidate;
    }
    return least;
  }

  ResidencyPlan given_plan() const {
    ResidencyPlan plan;
    for (const WeightSize& weight : needs_.weights) {
      const auto it = options_.plan.find(weight.name);
      const Residency residency = it == options_.plan.end() ? Residency::kStreamed : it->second;
      plan[weight.name] = residency;
    }
    for (const auto& [name, residency] : options_.plan) {
      if (!plan.contains(name)) fail("residency plan: {}: the model has no such weight", json_quote(name));
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
  std::optional<std::uint64_t> planned_;  // what the residents of a given plan take
};

}  // namespace

std::uint64_t process_memory(int threads) {
  return rss_bytes() + kProgram + kThread * static_cast<std::uint64_t>(threads + 1);
}

MemorySplit split_budget(const ModelSpec& spec, const MemoryOptions& options, const MemoryNeeds& needs) {
  return Splitter(spec, options, needs).split();
}

}  // namespace twofold
