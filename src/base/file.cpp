#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "base/error.h"

namespace twofold {

namespace fs = std::filesystem;

namespace {

std::string reason(int error) {
  return std::generic_category().message(error);
}

}  // namespace

File::File(const fs::path& path) : path_(path.string()) {
  // Without O_NONBLOCK, opening a named pipe would wait for a writer.
  fd_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd_ < 0) fail("{}: cannot open: {}", path_, reason(errno));
  struct stat info = {};
  if (fstat(fd_, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd_);
    fail("{}: expected a regular file", path_);
  }
  size_ = static_cast<std::uint64_t>(info.st_size);
}

File::File(File&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)), size_(other.size_) {}

File::~File() {
  if (fd_ >= 0) ::close(fd_);
}

void File::read(std::uint64_t offset, std::span<std::uint8_t> out) const {
  while (!out.empty()) {
    const ssize_t got = ::pread(fd_, out.data(), out.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("{}: read error at byte {}: {}", path_, offset, reason(errno));
    if (got == 0) fail("{}: file ends at byte {}, expected {} more", path_, offset, out.size());
    offset += static_cast<std::uint64_t>(got);
    out = out.subspan(static_cast<std::size_t>(got));
  }
}

MappedFile::MappedFile(const fs::path& path) : path_(path.string()) {
  const File file(path);
  size_ = file.size();
  if (size_ == 0) return;
  void* data = mmap(nullptr, size_, PROT_READ, MAP_SHARED, file.descriptor(), 0);
  if (data == MAP_FAILED) fail("{}: cannot map: {}", path_, reason(errno));
  data_ = static_cast<const std::uint8_t*>(data);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(const_cast<std::uint8_t*>(data_), size_);
}

void MappedFile::release(std::span<const std::uint8_t> part) const {
  if (part.empty()) return;
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<std::uintptr_t>(part.data()) / page * page;
  const auto end = reinterpret_cast<std::uintptr_t>(part.data()) + part.size();
  madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

FileWriter::FileWriter(const fs::path& path) : path_(path.string()) {
  fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd_ < 0) fail("{}: cannot create: {}", path_, reason(errno));
}

FileWriter::~FileWriter() {
  if (fd_ >= 0) ::close(fd_);
}

void FileWriter::overwrite(std::uint64_t offset, std::span<const std::uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) fail("{}: write failed: {}", path_, reason(put < 0 ? errno : ENOSPC));
    offset += static_cast<std::uint64_t>(put);
    bytes = bytes.subspan(static_cast<std::size_t>(put));
  }
}

void FileWriter::write(std::span<const std::uint8_t> bytes) {
  overwrite(position_, bytes);
  position_ += bytes.size();
}

void FileWriter::write_zeros(std::uint64_t count) {
  static constexpr std::array<std::uint8_t, 4096> kZeros{};
  while (count > 0) {
    const std::size_t part = std::min<std::uint64_t>(count, kZeros.size());
    write({kZeros.data(), part});
    count -= part;
  }
}

void FileWriter::close() {
  if (fsync(fd_) != 0) fail("{}: cannot sync: {}", path_, reason(errno));
  if (::close(std::exchange(fd_, -1)) != 0) fail("{}: cannot close: {}", path_, reason(errno));
}

std::string read_file(const fs::path& path, std::uint64_t max_bytes) {
  const File file(path);
  if (file.size() > max_bytes) {
    fail("{}: file has {} bytes, expected at most {}", file.path(), file.size(), max_bytes);
  }
  std::string contents(file.size(), '\0');
  file.read(0, {reinterpret_cast<std::uint8_t*>(contents.data()), contents.size()});
  return contents;
}

void write_file(const fs::path& path, std::string_view contents) {
  FileWriter writer(path);
  writer.write(as_bytes(contents));
  writer.close();
}

bool is_plain_file_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string_view::npos &&
         name.find('\0') == std::string_view::npos;
}

std::uint64_t directory_bytes(const fs::path& directory) {
  std::uint64_t total = 0;
  std::error_code error;
  if (fs::is_regular_file(directory, error)) return fs::file_size(directory);
  fs::directory_iterator entry(directory, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    struct stat info = {};  // a file that vanishes meanwhile counts as none
    if (::stat(entry->path().c_str(), &info) == 0 && S_ISREG(info.st_mode)) {
      total += static_cast<std::uint64_t>(info.st_size);
    }
  }
  if (error) fail("{}: cannot list: {}", directory.string(), error.message());
  return total;
}

}  // namespace twofold
