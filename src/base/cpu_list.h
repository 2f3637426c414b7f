#pragma once

#include <sched.h>

#include <string_view>
#include <thread>
#include <vector>

namespace twofold {

/// CPUs by the kernel's numbers, from a list such as "0-3,8": in the order given, each once, below
/// CPU_SETSIZE. An empty text is an empty list. Throws UsageError that begins with `flag` for anything else.
std::vector<int> parse_cpu_list(std::string_view text, std::string_view flag);

/// Keeps a thread on one CPU. Throws Error when the machine or the process's limits do not have it.
void keep_on_cpu(std::thread& thread, int cpu);

/// Keeps the calling thread on one CPU until the object goes, then on those it had before. Throws as
/// keep_on_cpu does.
class PinnedThread {
 public:
  explicit PinnedThread(int cpu);
  ~PinnedThread();
  PinnedThread(const PinnedThread&) = delete;
  PinnedThread& operator=(const PinnedThread&) = delete;

 private:
  cpu_set_t before_;
};

}  // namespace twofold
