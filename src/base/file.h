#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace twofold {

/// A file opened for reading. Every failure is an Error that names the path.
class File {
 public:
  explicit File(const std::filesystem::path& path);
  ~File();
  File(File&& other) noexcept;
  File& operator=(File&&) = delete;

  const std::string& path() const { return path_; }
  std::uint64_t size() const { return size_; }  // bytes, when opened
  int descriptor() const { return fd_; }

  /// Fills `out` from `offset`; a file that ends early is an Error.
  void read(std::uint64_t offset, std::span<std::uint8_t> out) const;

 private:
  std::string path_;
  int fd_ = -1;
  std::uint64_t size_ = 0;
};

/// A whole file mapped read-only. The mapping lives as long as the object.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::string& path() const { return path_; }
  std::span<const std::uint8_t> bytes() const { return {data_, size_}; }

  /// Lets the system drop the resident pages of a part that will not be read again soon.
  void release(std::span<const std::uint8_t> part) const;

 private:
  std::string path_;
  const std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

/// A new file written front to back, with patches allowed. Must not exist before.
/// Nothing is promised to be on disk until `close`, which also syncs.
class FileWriter {
 public:
  explicit FileWriter(const std::filesystem::path& path);
  ~FileWriter();
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;

  std::uint64_t position() const { return position_; }
  void write(std::span<const std::uint8_t> bytes);
  void write_zeros(std::uint64_t count);
  /// Overwrites bytes already written; the end position stays.
  void overwrite(std::uint64_t offset, std::span<const std::uint8_t> bytes);
  /// Flushes to the device and closes. Without it the destructor closes silently.
  void close();

 private:
  std::string path_;
  int fd_ = -1;
  std::uint64_t position_ = 0;
};

/// A directory that appears whole or not at all. It is built beside its final place under the name
/// `DST.partial`, which an exclusive lock guards, and renamed by `commit`. The destructor removes what was
/// not committed; what a killed process left is removed by the next one.
class StagedDirectory {
 public:
  /// Throws Error when `destination` exists, its parent does not, or another process is writing it.
  explicit StagedDirectory(const std::filesystem::path& destination);
  ~StagedDirectory();
  StagedDirectory(const StagedDirectory&) = delete;
  StagedDirectory& operator=(const StagedDirectory&) = delete;

  /// Where to put the files.
  const std::filesystem::path& path() const { return staging_; }

  /// Syncs everything and renames. Throws Error when the destination has appeared meanwhile.
  void commit();

 private:
  void remove_staging();

  std::filesystem::path destination_;
  std::filesystem::path staging_;
  int lock_fd_ = -1;
};

/// Contents of a file of at most `max_bytes`.
std::string read_file(const std::filesystem::path& path, std::uint64_t max_bytes = std::uint64_t{1} << 32);

/// Writes a new file and syncs it.
void write_file(const std::filesystem::path& path, std::string_view contents);

inline std::span<const std::uint8_t> as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

/// True for a name that stays in its directory: not empty, not "." or "..", no slash or NUL. A path from a
/// hostile file could name any file of the machine.
bool is_plain_file_name(std::string_view name);

/// Sum of the sizes of all regular files in a directory (not below it), in bytes; links are followed. For a
/// file its own size.
std::uint64_t directory_bytes(const std::filesystem::path& directory);

}  // namespace twofold
