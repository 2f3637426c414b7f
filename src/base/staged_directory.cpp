#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/file.h"

namespace twofold {

namespace fs = std::filesystem;

namespace {

std::string reason(int error) { return std::generic_category().message(error); }

void sync_directory(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) fail("{}: cannot open directory: {}", path.string(), reason(errno));
  const int failed = fsync(fd) != 0 ? errno : 0;
  ::close(fd);
  if (failed != 0) fail("{}: cannot sync: {}", path.string(), reason(failed));
}

/// Opens and locks the staging directory, or returns -1 when it vanished between the two steps, as it does
/// when its owner has just renamed or removed it.
int lock_staging(const fs::path& staging, const fs::path& destination) {
  if (::mkdir(staging.c_str(), 0755) != 0 && errno != EEXIST) {
    fail("{}: cannot create directory: {}", staging.string(), reason(errno));
  }
  const int fd = ::open(staging.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) {
    if (errno == ENOENT) return -1;
    fail("{}: cannot open directory: {}", staging.string(), reason(errno));
  }
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    ::close(fd);
    fail("{}: another process is writing it (it holds {})", destination.string(), staging.string());
  }
  struct stat locked = {};
  struct stat named = {};
  if (fstat(fd, &locked) != 0 || ::stat(staging.c_str(), &named) != 0 || locked.st_ino != named.st_ino) {
    ::close(fd);
    return -1;
  }
  return fd;
}

}  // namespace

StagedDirectory::StagedDirectory(const fs::path& destination) {
  // A trailing slash would put the staging directory inside the destination.
  destination_ = (destination.has_filename() ? destination : destination.parent_path());
  if (destination_.empty()) throw UsageError("the destination directory has an empty name");
  std::error_code error;
  if (fs::exists(fs::symlink_status(destination_, error))) {
    fail("{}: already exists; remove it or name another destination", destination_.string());
  }
  const fs::path parent = destination_.has_parent_path() ? destination_.parent_path() : fs::path(".");
  if (!fs::is_directory(parent, error)) fail("{}: no such directory", parent.string());
  staging_ = destination_;
  staging_ += ".partial";
  for (int attempt = 0; lock_fd_ < 0; ++attempt) {
    if (attempt == 100) fail("{}: cannot lock", staging_.string());
    lock_fd_ = lock_staging(staging_, destination_);
  }
  for (const auto& entry : fs::directory_iterator(staging_, error)) {
    fs::remove_all(entry.path(), error);  // left by a process that was killed
  }
}

StagedDirectory::~StagedDirectory() {
  if (lock_fd_ < 0) return;
  std::error_code ignored;
  fs::remove_all(staging_, ignored);
  ::close(lock_fd_);
}

void StagedDirectory::commit() {
  sync_directory(staging_);
  if (renameat2(AT_FDCWD, staging_.c_str(), AT_FDCWD, destination_.c_str(), RENAME_NOREPLACE) != 0) {
    // Some file systems lack the flag; rename() refuses a destination that is not an empty directory.
    if (errno != EINVAL || ::rename(staging_.c_str(), destination_.c_str()) != 0) {
      fail("{}: cannot rename {} to it: {}", destination_.string(), staging_.string(), reason(errno));
    }
  }
  ::close(std::exchange(lock_fd_, -1));
  sync_directory(destination_.has_parent_path() ? destination_.parent_path() : fs::path("."));
}

}  // namespace twofold
