#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>

namespace twofold {

/// A file opened for reads that go past the page cache, so that a file larger than memory does not push
/// everything else out of it. Where the filesystem refuses that (O_DIRECT), reads are buffered and `forget`
/// tells the system that their pages are not wanted again.
class DirectFile {
 public:
  /// Offset, size and memory of every read are multiples of this; the last read may go past the file's end.
  static constexpr std::size_t kPage = 4096;

  /// Throws Error when there is no such regular file.
  explicit DirectFile(const std::filesystem::path& path);
  ~DirectFile();
  DirectFile(const DirectFile&) = delete;
  DirectFile& operator=(const DirectFile&) = delete;

  const std::string& path() const { return path_; }
  int descriptor() const { return fd_; }
  bool direct() const { return direct_; }
  void forget(std::uint64_t offset, std::size_t size) const;

 private:
  std::string path_;
  int fd_ = -1;
  bool direct_ = false;
};

/// Part of a file to be read, aligned as DirectFile says.
struct ReadRequest {
  const DirectFile* file = nullptr;
  std::uint64_t offset = 0;
  std::span<std::uint8_t> out;
  std::uint64_t tag = 0;  // comes back with the result
};

struct ReadResult {
  std::uint64_t tag = 0;
  std::int64_t bytes = 0;  // read, which may be fewer than asked; or an errno, negative
};

/// Reads that are under way side by side. One thread at a time. The destructor waits for those still under
/// way, as their memory is the caller's.
class AsyncReader {
 public:
  virtual ~AsyncReader() = default;
  /// Begins a read. At most as many as the reader was made for may be under way.
  virtual void submit(const ReadRequest& request) = 0;
  /// Waits until one of those under way is done, in any order. There must be one.
  virtual ReadResult wait() = 0;
};

/// Makes a reader for up to `depth` reads at a time.
using ReaderFactory = std::function<std::unique_ptr<AsyncReader>(std::size_t depth)>;

/// By io_uring, or nullptr where the kernel or the build has none.
std::unique_ptr<AsyncReader> make_uring_reader(std::size_t depth);
/// By threads that read, everywhere.
std::unique_ptr<AsyncReader> make_thread_reader(std::size_t depth);
/// The first of these that works.
std::unique_ptr<AsyncReader> make_async_reader(std::size_t depth);

}  // namespace twofold
