#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/file.h"

namespace twofold {

namespace fs = std::filesystem;

namespace {

std::string reason(int error) {
  return std::generic_category().message(error);
}

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

void check_absent(const fs::path& destination) {
  std::error_code error;
  if (fs::exists(fs::symlink_status(destination, error))) {
    fail("{}: already exists; remove it or name another destination", destination.string());
  }
}

/// Removes what a process that was killed has left.
void remove_contents(const fs::path& staging) {
  std::error_code error;
  std::vector<fs::path> left;
  for (fs::directory_iterator entry(staging, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    left.push_back(entry->path());
  }
  for (const fs::path& path : left) {
    if (!error) fs::remove_all(path, error);
  }
  if (error) fail("{}: cannot remove what an earlier run left: {}", staging.string(), error.message());
}

}  // namespace

StagedDirectory::StagedDirectory(const fs::path& destination) {
  // A trailing slash would put the staging directory inside the destination.
  destination_ = (destination.has_filename() ? destination : destination.parent_path());
  if (destination_.empty()) throw UsageError("the destination directory has an empty name");
  check_absent(destination_);
  std::error_code error;
  const fs::path parent = destination_.has_parent_path() ? destination_.parent_path() : fs::path(".");
  if (!fs::is_directory(parent, error)) fail("{}: no such directory", parent.string());
  staging_ = destination_;
  staging_ += ".partial";
  for (int attempt = 0; lock_fd_ < 0; ++attempt) {
    if (attempt == 100) fail("{}: cannot lock", staging_.string());
    lock_fd_ = lock_staging(staging_, destination_);
  }
  try {
    check_absent(destination_);  // whoever held the lock before may just have finished
    remove_contents(staging_);
  } catch (...) {
    remove_staging();
    throw;
  }
}

StagedDirectory::~StagedDirectory() {
  if (lock_fd_ >= 0) remove_staging();
}

void StagedDirectory::remove_staging() {
  std::error_code ignored;
  fs::remove_all(staging_, ignored);
  ::close(std::exchange(lock_fd_, -1));
}

void StagedDirectory::commit() {
  sync_directory(staging_);
  if (renameat2(AT_FDCWD, staging_.c_str(), AT_FDCWD, destination_.c_str(), RENAME_NOREPLACE) != 0) {
    // Some file systems lack the flag; rename() refuses a destination that is not an empty directory.
    if ((errno != EINVAL && errno != ENOSYS) || ::rename(staging_.c_str(), destination_.c_str()) != 0) {
      fail("{}: cannot rename {} to it: {}", destination_.string(), staging_.string(), reason(errno));
    }
  }
  ::close(std::exchange(lock_fd_, -1));
  sync_directory(destination_.has_parent_path() ? destination_.parent_path() : fs::path("."));
}

}  // namespace twofold
