#pragma once

#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "base/cpu_list.h"

namespace twofold {

/// A fixed set of workers for loops over independent items. The calling thread is worker 0, so a pool of
/// one starts no thread. Calls do not nest, and only one thread may call at a time.
class ThreadPool {
 public:
  /// `threads` <= 0 means one per core this process may run on, or one per CPU of `cpus` when that is not
  /// empty: the i-th worker then stays on the i-th of them, the calling thread too while the pool lives.
  /// Throws UsageError for more threads than CPUs to keep them on, Error when the system refuses.
  explicit ThreadPool(int threads = 0, std::span<const int> cpus = {});
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls body(begin, end, worker) for contiguous parts that together are [0, count), at most one part
  /// per worker, always cut the same way; returns when all are done. worker is in [0, size()). The first
  /// exception is rethrown here.
  using Body = std::function<void(std::size_t begin, std::size_t end, int worker)>;
  void run(std::size_t count, const Body& body);

 private:
  void stop();
  void work(int worker);
  void run_part(int worker);

  std::optional<PinnedThread> caller_;  // worker 0
  std::vector<std::thread> workers_;
  const Body* body_ = nullptr;
  std::size_t count_ = 0;
  std::atomic<unsigned> generation_{0};  // a new value starts the workers
  std::atomic<int> pending_{0};          // workers that have not finished
  std::atomic<bool> stop_{false};
  std::mutex error_mutex_;
  std::exception_ptr error_;
};

/// Cores this process may run on (its affinity mask), at least 1.
int available_cores();

}  // namespace twofold
