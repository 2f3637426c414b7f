#include "cli/thread_flags.h"

#include <fmt/core.h>

#include "base/cpu_list.h"
#include "base/error.h"

namespace twofold {

void ThreadFlags::add_to(CLI::App& command) {
  command.add_option("-t,--threads", threads, "Threads; 0: one per core, or per CPU of --cpus")
      ->capture_default_str()
      ->check(CLI::Range(0, 1024));
  command.add_option("--cpus", cpus, "Keep the threads on these CPUs, one on each, e.g. 0-3,8");
}

std::vector<int> ThreadFlags::cpu_list() const {
  std::vector<int> list = parse_cpu_list(cpus, "--cpus");
  if (!list.empty() && static_cast<std::size_t>(threads) > list.size()) {
    throw UsageError(
        fmt::format("--cpus: expected a CPU for each of {} threads, found {}", threads, list.size()));
  }
  return list;
}

}  // namespace twofold
