#include "base/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "base/error.h"

namespace twofold {

namespace {

// Regions follow each other within microseconds while a token is computed; a short spin saves the
// wake-up, and a worker that sees no work soon sleeps.
constexpr int kSpins = 2000;

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

template <typename T>
void wait_while_equal(std::atomic<T>& value, T old) {
  for (int spin = 0; spin < kSpins; ++spin) {
    if (value.load(std::memory_order_acquire) != old) return;
    pause();
  }
  value.wait(old, std::memory_order_acquire);
}

}  // namespace

int available_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1U, std::thread::hardware_concurrency());
}

ThreadPool::ThreadPool(int threads, std::span<const int> cpus) {
  const auto limit = static_cast<int>(cpus.size());
  if (limit > 0 && threads > limit)
    throw UsageError(fmt::format("{} threads cannot have a CPU each: the list has {}", threads, limit));
  const int total = threads > 0 ? threads : limit > 0 ? limit : available_cores();
  workers_.reserve(static_cast<std::size_t>(total - 1));
  try {
    for (int worker = 1; worker < total; ++worker) {
      workers_.emplace_back([this, worker] { work(worker); });
      if (limit > 0) keep_on_cpu(workers_.back(), cpus[static_cast<std::size_t>(worker)]);
    }
    if (limit > 0) caller_.emplace(cpus[0]);
  } catch (const std::system_error& error) {
    stop();
    fail("cannot start {} threads: {}", total, error.code().message());
  } catch (...) {
    stop();
    throw;
  }
}

ThreadPool::~ThreadPool() {
  stop();
}

void ThreadPool::stop() {
  stop_ = true;
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run(std::size_t count, const Body& body) {
  if (count == 0) return;
  if (workers_.empty() || count == 1) {
    body(0, count, 0);
    return;
  }
  body_ = &body;
  count_ = count;
  error_ = nullptr;
  pending_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  run_part(0);
  for (int left = pending_.load(std::memory_order_acquire); left != 0;
       left = pending_.load(std::memory_order_acquire)) {
    wait_while_equal(pending_, left);
  }
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

void ThreadPool::run_part(int worker) {
  const auto parts = static_cast<std::size_t>(size());
  const auto part = static_cast<std::size_t>(worker);
  const std::size_t share = count_ / parts;
  const std::size_t extra = count_ % parts;
  const std::size_t begin = part * share + std::min(part, extra);
  const std::size_t end = begin + share + (part < extra ? 1 : 0);
  if (begin == end) return;
  try {
    (*body_)(begin, end, worker);
  } catch (...) {
    const std::lock_guard lock(error_mutex_);
    if (!error_) error_ = std::current_exception();
  }
}

void ThreadPool::work(int worker) {
  unsigned seen = 0;
  for (;;) {
    wait_while_equal(generation_, seen);
    seen = generation_.load(std::memory_order_acquire);
    if (stop_) return;
    run_part(worker);
    if (pending_.fetch_sub(1, std::memory_order_acq_rel) == 1) pending_.notify_all();
  }
}

}  // namespace twofold
