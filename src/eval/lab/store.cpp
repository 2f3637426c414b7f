#include "eval/lab/store.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/interrupt.h"

namespace twofold {

namespace fs = std::filesystem;

void replace_file(const fs::path& path, std::string_view contents) {
  fs::path temporary = path;
  temporary += ".partial";
  std::error_code error;
  fs::remove(temporary, error);
  write_file(temporary, contents);
  fs::rename(temporary, path, error);
  if (error) fail("{}: {}", path.string(), error.message());
}

LabStore::LabStore(fs::path directory) : directory_(std::move(directory)) {
  std::error_code error;
  fs::create_directories(directory_, error);
  if (error) fail("{}: {}", directory_.string(), error.message());
}

bool LabStore::has(const std::string& key) const {
  std::error_code error;
  return fs::exists(directory_ / (key + ".json"), error);
}

std::optional<Json> LabStore::load(const std::string& key) const {
  if (!has(key)) return std::nullopt;
  return read_json_file(directory_ / (key + ".json"));
}

void LabStore::save(const std::string& key, const Json& result) const {
  replace_file(directory_ / (key + ".json"), result.dump(1) + "\n");
}

std::string content_hash(const fs::path& path) {
  std::error_code error;
  std::vector<fs::path> files;
  if (fs::is_directory(path, error)) {
    for (const auto& entry : fs::directory_iterator(path))
      if (entry.is_regular_file()) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
  } else {
    files.push_back(path);
  }
  std::string all;
  for (const fs::path& file : files) {
    check_interrupt();
    const MappedFile mapped(file);
    all += file.filename().string() + " " + hex64(xxh3(mapped.bytes())) + "\n";
    mapped.release(mapped.bytes());
  }
  return hex64(xxh3(as_bytes(all)));
}

}  // namespace twofold
