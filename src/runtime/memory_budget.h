#pragma once

#include <cstdint>
#include <span>

#include "model/model_spec.h"
#include "runtime/residency.h"

namespace twofold {

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
