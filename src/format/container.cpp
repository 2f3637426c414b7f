#include "format/container.h"

#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "format/shard.h"

namespace twofold {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kMaxConfigBytes = 100'000'000;
constexpr const char* kQuantization = "quantization_config";

/// The member of config.json that says how the model is stored, or nullptr when that is another way.
const Json* twofold_member(const Json& config) {
  if (!config.is_object() || !config.contains(kQuantization)) return nullptr;
  const Json& member = config[kQuantization];
  if (!member.is_object() || !member.contains("quant_method") || member["quant_method"] != "twofold")
    return nullptr;
  return &member;
}

std::string member_where(const fs::path& directory) {
  return fmt::format("{}: {}", (directory / "config.json").string(), kQuantization);
}

Json read_config(const fs::path& directory) {
  const fs::path path = directory / "config.json";
  Json config = read_json_file(path, kMaxConfigBytes);
  const Json* member = twofold_member(config);
  if (member == nullptr) {
    fail("{}: not a Twofold model: \"{}\" with \"quant_method\": \"twofold\" expected", path.string(),
         kQuantization);
  }
  check_container_version(*member, member_where(directory));
  return config;
}

std::map<std::string, StoredFile> parse_files(const Json& member, const std::string& where) {
  std::map<std::string, StoredFile> files;
  for (const auto& [name, entry] : json_object(member, "files", where).items()) {
    if (!is_plain_file_name(name)) {
      fail("{}: \"files\": expected names of files in the same directory, found {}", where, json_quote(name));
    }
    const std::string entry_where = fmt::format("{}: \"files\": {}", where, json_quote(name));
    const std::int64_t bytes = json_int(entry, "bytes", entry_where, 0, INT64_MAX);
    files.emplace(name,
                  StoredFile{static_cast<std::uint64_t>(bytes), json_hex64(entry, "xxh3", entry_where)});
  }
  return files;
}

/// Merges the tensors of a shard; no name may be there twice.
template <typename Map>
void merge(Map& into, Map& from, std::string_view path) {
  into.merge(from);
  if (!from.empty()) fail("{}: tensor {}: another file has it too", path, json_quote(from.begin()->first));
}

}  // namespace

bool Container::is_container(const fs::path& directory) {
  std::error_code error;
  const fs::path path = directory / "config.json";
  if (!fs::exists(path, error)) return false;
  return twofold_member(read_json_file(path, kMaxConfigBytes)) != nullptr;
}

Container::Container(const fs::path& directory)
    : config_(std::make_unique<Json>(read_config(directory))), checkpoint_(directory) {
  const std::string where = member_where(directory);
  files_ = parse_files(recipe(), where);
  const auto listed = [&](const std::string& name) -> const StoredFile& {
    const auto it = files_.find(name);
    if (it == files_.end()) fail("{}: \"files\": missing field {}", where, json_quote(name));
    return it->second;
  };
  for (const auto& file : checkpoint_.files()) {
    const std::string name = fs::path(file->path()).filename().string();
    if (name != kSingleFile) listed(kShardList);
    if (const std::uint64_t expected = listed(name).bytes; file->bytes() != expected) {
      fail("{}: file has {} bytes, expected {} from config.json", file->path(), file->bytes(), expected);
    }
    ShardContents contents = read_shard(file->path(), file->tensors(), file->metadata());
    merge(coded_, contents.coded, file->path());
    merge(plain_, contents.plain, file->path());
    merge(checksums_, contents.checksums, file->path());
  }
  for (const auto& [name, tensor] : coded_) {
    if (plain_.contains(name)) fail("{}: tensor {}: another file has it too", tensor.file, json_quote(name));
  }
}

Container::~Container() = default;
Container::Container(Container&&) noexcept = default;
Container& Container::operator=(Container&&) noexcept = default;

const Json& Container::config() const {
  return *config_;
}

const Json& Container::recipe() const {
  return (*config_)[kQuantization];
}

}  // namespace twofold
