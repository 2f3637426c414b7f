#include "base/async_reader.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "base/aligned.h"
#include "base/error.h"
#include "base/file.h"

namespace twofold {

namespace {

/// Some filesystems take the flag and refuse the read.
bool can_read_directly(int fd) {
  struct alignas(DirectFile::kPage) Page {
    std::uint8_t bytes[DirectFile::kPage];
  };
  const auto page = std::make_unique<Page>();
  return ::pread(fd, page->bytes, sizeof page->bytes, 0) >= 0;
}

class ThreadReader final : public AsyncReader {
 public:
  explicit ThreadReader(std::size_t threads) {
    try {
      for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
    } catch (const std::system_error& error) {
      stop();
      fail("cannot start {} threads for reading: {}", threads, error.code().message());
    }
  }
  ~ThreadReader() override { stop(); }

  void submit(const ReadRequest& request) override {
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    submitted_.notify_one();
  }

  ReadResult wait() override {
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return !results_.empty(); });
    const ReadResult result = results_.front();
    results_.pop_front();
    return result;
  }

 private:
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    submitted_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  void work() {
    for (;;) {
      ReadRequest request;
      {
        std::unique_lock lock(mutex_);
        submitted_.wait(lock, [this] { return stop_ || !requests_.empty(); });
        if (stop_) return;
        request = requests_.front();
        requests_.pop_front();
      }
      const ssize_t got = ::pread(request.file->descriptor(), request.out.data(), request.out.size(),
                                  static_cast<off_t>(request.offset));
      const ReadResult result{request.tag, got < 0 ? -errno : got};
      {
        const std::lock_guard lock(mutex_);
        results_.push_back(result);
      }
      done_.notify_one();
    }
  }

  std::mutex mutex_;
  std::condition_variable submitted_;
  std::condition_variable done_;
  std::deque<ReadRequest> requests_;
  std::deque<ReadResult> results_;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace

DirectFile::DirectFile(const std::filesystem::path& path) : path_(path.string()) {
  const File checked(path);  // for its errors: no file, not a regular one
#ifdef O_DIRECT
  fd_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECT);
  direct_ = fd_ >= 0 && can_read_directly(fd_);
  if (direct_) return;
  if (fd_ >= 0) ::close(fd_);
#endif
  fd_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd_ < 0) fail("{}: cannot open: {}", path_, std::generic_category().message(errno));
}

DirectFile::~DirectFile() {
  ::close(fd_);
}

void DirectFile::forget(std::uint64_t offset, std::size_t size) const {
  if (!direct_) posix_fadvise(fd_, static_cast<off_t>(offset), static_cast<off_t>(size), POSIX_FADV_DONTNEED);
}

std::unique_ptr<AsyncReader> make_thread_reader(std::size_t depth) {
  constexpr std::size_t kThreads = 8;  // enough for a queue that a disk can order
  return std::make_unique<ThreadReader>(std::clamp<std::size_t>(depth, 1, kThreads));
}

std::unique_ptr<AsyncReader> make_async_reader(std::size_t depth) {
  if (auto reader = make_uring_reader(depth)) return reader;
  return make_thread_reader(depth);
}

}  // namespace twofold
