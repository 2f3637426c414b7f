#include "base/cpu_list.h"

#include <pthread.h>

#include <algorithm>
#include <charconv>
#include <system_error>

#include "base/error.h"

namespace twofold {

namespace {

[[noreturn]] void refuse(std::string_view text, std::string_view flag) {
  throw UsageError(fmt::format("{}: expected CPUs from 0 to {}, each once, as 0-3,8; found \"{}\"", flag,
                               CPU_SETSIZE - 1, text));
}

void keep_on_cpu(pthread_t thread, int cpu) {
  cpu_set_t wanted;
  CPU_ZERO(&wanted);
  CPU_SET(static_cast<unsigned>(cpu), &wanted);
  const int error = pthread_setaffinity_np(thread, sizeof wanted, &wanted);
  if (error != 0) fail("cannot run on CPU {}: {}", cpu, std::generic_category().message(error));
}

}  // namespace

std::vector<int> parse_cpu_list(std::string_view text, std::string_view flag) {
  std::vector<int> cpus;
  const char* at = text.data();
  const char* const end = at + text.size();
  const auto number = [&] {
    int value = -1;
    const auto [after, error] = std::from_chars(at, end, value);
    if (error != std::errc() || value < 0 || value >= CPU_SETSIZE) refuse(text, flag);
    at = after;
    return value;
  };
  while (at != end) {
    const int first = number();
    int last = first;
    if (at != end && *at == '-') {
      ++at;
      last = number();
    }
    if (last < first) refuse(text, flag);
    for (int cpu = first; cpu <= last; ++cpu) {
      if (std::find(cpus.begin(), cpus.end(), cpu) != cpus.end()) refuse(text, flag);
      cpus.push_back(cpu);
    }
    if (at == end) break;
    if (*at != ',' || ++at == end) refuse(text, flag);
  }
  return cpus;
}

void keep_on_cpu(std::thread& thread, int cpu) {
  keep_on_cpu(thread.native_handle(), cpu);
}

PinnedThread::PinnedThread(int cpu) {
  const int error = pthread_getaffinity_np(pthread_self(), sizeof before_, &before_);
  if (error != 0) fail("cannot tell this thread's CPUs: {}", std::generic_category().message(error));
  keep_on_cpu(pthread_self(), cpu);
}

PinnedThread::~PinnedThread() {
  pthread_setaffinity_np(pthread_self(), sizeof before_, &before_);
}

}  // namespace twofold
