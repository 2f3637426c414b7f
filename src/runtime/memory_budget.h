#pragma once

#include <cstdint>
#include <span>

#include "model/model_spec.h"
#include "runtime/residency.h"

namespace twofold {

/// The fewest tokens that a prompt's pass is cut to.
inline constexpr std::int64_t kLeastBlockTokens = 16;

/// Memory of this process with so many threads: what it has in memory now and what it will need beside
/// weights, caches and scratch.
std::uint64_t process_memory(int threads);

/// What a budget has to hold, beside what MemoryOptions says.
struct MemoryNeeds {
  std::uint64_t process = 0;        // in use when nothing of the weights is in memory
  std::uint64_t peak = 0;           // most that the process has used so far
  std::vector<WeightSize> weights;  // in the order of use
  std::uint64_t largest_part = 0;   // the least buffer that weights can be streamed through
  ScratchShape scratch;
};

struct MemorySplit {
  MemoryReport report;
  ResidencyPlan plan;
};

/// Splits a budget: what must be is taken off, a prompt's passes and the buffer get their share, weights the
/// rest. Throws Error that names the least budget that would do when this one does not.
MemorySplit split_budget(const ModelSpec& spec, const MemoryOptions& options, const MemoryNeeds& needs);

}  // namespace twofold
