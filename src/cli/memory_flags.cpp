#include "cli/memory_flags.h"

#include "base/error.h"
#include "base/progress.h"
#include "cli/size_text.h"
#include "plan/planner.h"

namespace twofold {

void MemoryFlags::add_to(CLI::App& command) {
  command.add_option(
      "--memory", memory,
      "Use at most so much memory, e.g. 2GiB: weights that do not fit are read from storage in "
      "every pass");
  command.add_option("--buffer", buffer, "Memory that these weights pass through; chosen when not given");
  command.add_option("--plan", plan, "File of `plan` that says which weights stay in memory");
}

MemoryOptions MemoryFlags::options(const MemoryUse& use) const {
  MemoryOptions options;
  options.use = use;
  if (memory.empty() && !buffer.empty()) throw UsageError("--buffer: expected --memory with it");
  if (memory.empty() && !plan.empty()) throw UsageError("--plan: expected --memory with it");
  if (!memory.empty()) options.budget = parse_size(memory, "--memory");
  if (!buffer.empty()) options.buffer = parse_size(buffer, "--buffer");
  if (!plan.empty()) options.plan = read_residency_plan(plan);
  return options;
}

std::string describe(const MemoryReport& report) {
  return fmt::format(
      "memory: {} of {}: program and tables {}, cache {}, scratch {}, buffer {}, weights {}; {} of weights "
      "are "
      "read in every pass",
      format_bytes(report.process + report.cache + report.scratch + report.buffer + report.resident),
      format_bytes(report.budget), format_bytes(report.process), format_bytes(report.cache),
      format_bytes(report.scratch), format_bytes(report.buffer), format_bytes(report.resident),
      format_bytes(report.streamed));
}

}  // namespace twofold
