#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <system_error>

#include "base/aligned.h"
#include "base/error.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/random.h"
#include "plan/measure.h"

namespace twofold {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kPage = 4096;                // O_DIRECT wants addresses and sizes of whole blocks
constexpr std::size_t kLargestRequest = 16 << 20;  // bytes

/// A file of random bytes that goes when the object does.
class ScratchFile {
 public:
  ScratchFile(const fs::path& directory, std::uint64_t bytes)
      : path_(directory / fmt::format(".twofold-measure.{}", getpid())) {
    std::error_code ignored;
    fs::remove(path_, ignored);
    try {
      FileWriter writer(path_);
      Random random(7);
      std::vector<std::uint8_t> block(1 << 20);
      for (std::uint64_t written = 0; written < bytes; written += block.size()) {
        check_interrupt();
        for (std::size_t i = 0; i < block.size(); i += 8) {
          const std::uint64_t value = random.next();
          std::memcpy(&block[i], &value, 8);
        }
        writer.write(block);
      }
      writer.close();
    } catch (...) {
      fs::remove(path_, ignored);
      throw;
    }
  }
  ~ScratchFile() {
    std::error_code ignored;
    fs::remove(path_, ignored);
  }
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

/// A file descriptor that is closed.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

}  // namespace

std::vector<StorageSpeed> measure_storage(const fs::path& directory, std::uint64_t bytes, int repetitions) {
  const ScratchFile file(directory, bytes);
#ifdef O_DIRECT
  int fd = ::open(file.path().c_str(), O_RDONLY | O_CLOEXEC | O_DIRECT);
  // Some file systems have no direct reads: then the page cache is emptied of the file before each pass.
  const bool direct = fd >= 0;
#else
  int fd = -1;
  const bool direct = false;
#endif
  if (fd < 0) fd = ::open(file.path().c_str(), O_RDONLY | O_CLOEXEC);
  const Descriptor descriptor(fd);
  if (fd < 0) fail("{}: cannot open", file.path().string());
  std::unique_ptr<std::uint8_t, decltype(&std::free)> buffer(
      static_cast<std::uint8_t*>(std::aligned_alloc(kPage, kLargestRequest)), &std::free);
  if (!buffer) throw std::bad_alloc();

  std::vector<StorageSpeed> speeds;
  for (std::size_t request = 16 << 10; request <= kLargestRequest; request *= 4) {
    std::vector<double> rates;
    // Small requests are slow: a part of the file tells as much.
    const std::uint64_t part = std::min<std::uint64_t>(bytes, request * 512);
    for (int i = 0; i < std::min(repetitions, 3); ++i) {
      check_interrupt();
      if (!direct) posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
      const std::uint64_t first =
          part < bytes ? (bytes - part) / 4 / request * request * static_cast<unsigned>(i) : 0;
      const auto begin = std::chrono::steady_clock::now();
      std::uint64_t read = 0;
      while (read + request <= part) {
        const ssize_t got = ::pread(fd, buffer.get(), request, static_cast<off_t>(first + read));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0)
          fail("{}: cannot read: {}", file.path().string(), std::generic_category().message(errno));
        read += static_cast<std::uint64_t>(got);
      }
      const double time = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
      if (read > 0) rates.push_back(static_cast<double>(read) / std::max(time, 1e-9));
    }
    if (rates.empty()) break;
    std::sort(rates.begin(), rates.end());
    speeds.push_back({request, rates[rates.size() / 2]});
  }
  return speeds;
}

}  // namespace twofold
