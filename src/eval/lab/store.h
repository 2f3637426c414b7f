#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/json.h"

namespace twofold {

/// Results on disk, each in a file that appears whole or not at all.
class LabStore {
 public:
  /// Makes the directory where it is missing.
  explicit LabStore(std::filesystem::path directory);

  bool has(const std::string& key) const;
  /// Throws Error naming the file when it is no JSON.
  std::optional<Json> load(const std::string& key) const;
  void save(const std::string& key, const Json& result) const;

 private:
  std::filesystem::path directory_;
};

/// Writes a file by renaming a new one over it.
void replace_file(const std::filesystem::path& path, std::string_view contents);

/// XXH3 of a file, or of all regular files of a directory with their names, as 16 hexadecimal digits.
std::string content_hash(const std::filesystem::path& path);

}  // namespace twofold
