#include "plan/machine_profile.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>

#include "base/cpu.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/thread_pool.h"

namespace twofold {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kMaxProfileBytes = 10'000'000;
constexpr double kMaxRate = 1e15;  // bytes or weights per second
constexpr std::size_t kMaxEntries = 10'000;

const Json& bounded_array(const Json& object, std::string_view key, std::string_view where) {
  const Json& array = json_array(object, key, where);
  if (array.size() > kMaxEntries)
    fail("{}: \"{}\": {} entries, expected at most {}", where, key, array.size(), kMaxEntries);
  return array;
}

double rate_field(const Json& object, std::string_view key, std::string_view where) {
  return json_double(object, key, where, 1, kMaxRate);
}

CodecSpeed parse_codec(const Json& json, const std::string& where) {
  CodecSpeed speed;
  speed.codec = json_string(json, "codec", where);
  speed.threads = static_cast<int>(json_int(json, "threads", where, 1, 1 << 16));
  speed.call_seconds = json_double(json, "call_seconds", where, 0, 10);
  speed.channel_seconds = json_double(json, "channel_seconds", where, 0, 1);
  for (const Json& point : bounded_array(json, "points", where)) {
    speed.points.push_back({json_double(point, "bits_per_weight", where, 0, 64),
                            rate_field(point, "weights_per_second", where)});
  }
  if (speed.points.empty()) fail("{}: \"points\": expected at least one", where);
  for (const Json& shape : bounded_array(json, "shapes", where)) {
    speed.shapes.push_back({json_int(shape, "cols", where, 1, std::int64_t{1} << 31),
                            json_double(shape, "factor", where, 0.01, 100)});
  }
  std::sort(speed.points.begin(), speed.points.end(),
            [](const auto& a, const auto& b) { return a.bits_per_weight < b.bits_per_weight; });
  std::sort(speed.shapes.begin(), speed.shapes.end(),
            [](const auto& a, const auto& b) { return a.cols < b.cols; });
  return speed;
}

/// y at x of the line through the points, as at the nearest end beyond them.
template <typename Points, typename X, typename Y>
double interpolate(const Points& points, double at, const X& x, const Y& y) {
  if (at <= x(points.front())) return y(points.front());
  for (std::size_t i = 1; i < points.size(); ++i) {
    const double right = x(points[i]);
    if (at > right) continue;
    const double left = x(points[i - 1]);
    const double share = right > left ? (at - left) / (right - left) : 1;
    return y(points[i - 1]) + share * (y(points[i]) - y(points[i - 1]));
  }
  return y(points.back());
}

}  // namespace

double CodecSpeed::weights_per_second(double bits_per_weight, std::int64_t cols) const {
  const double seconds = interpolate(
      points, bits_per_weight, [](const Point& p) { return p.bits_per_weight; },
      [](const Point& p) { return 1 / p.weights_per_second; });
  const double factor = shapes.empty() ? 1
                                       : interpolate(
                                             shapes, static_cast<double>(cols),
                                             [](const Shape& s) { return static_cast<double>(s.cols); },
                                             [](const Shape& s) { return s.factor; });
  return factor / seconds;
}

int MachineProfile::nearest_threads(int wanted) const {
  if (wanted <= 0) return threads.back();
  return *std::min_element(threads.begin(), threads.end(),
                           [&](int a, int b) { return std::abs(a - wanted) < std::abs(b - wanted); });
}

double MachineProfile::read_rate(int wanted_threads) const {
  const auto it = std::find(threads.begin(), threads.end(), nearest_threads(wanted_threads));
  return read_bytes_per_second[static_cast<std::size_t>(it - threads.begin())];
}

const CodecSpeed& MachineProfile::codec(std::string_view name, int wanted_threads) const {
  const int count = nearest_threads(wanted_threads);
  std::string names;
  for (const CodecSpeed& speed : codecs) {
    if (speed.threads != count) continue;
    if (speed.codec == name) return speed;
    names += (names.empty() ? "" : ", ") + speed.codec;
  }
  fail("the machine's profile has no speed of codec {} on {} threads; it has {}", json_quote(name), count,
       names);
}

double MachineProfile::storage_rate() const {
  double best = 0;
  for (const StorageSpeed& speed : storage) best = std::max(best, speed.bytes_per_second);
  return best;
}

std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    if (!line.starts_with("model name") && !line.starts_with("CPU part")) continue;
    const auto colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

fs::path default_profile_path() {
  fs::path cache;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing here changes the environment
  if (const char* xdg = std::getenv("XDG_CACHE_HOME"); xdg != nullptr && xdg[0] == '/') {
    cache = xdg;
    // NOLINTNEXTLINE(concurrency-mt-unsafe)
  } else if (const char* home = std::getenv("HOME"); home != nullptr && home[0] == '/') {
    cache = fs::path(home) / ".cache";
  } else {
    fail("the machine's profile has no place: set XDG_CACHE_HOME or HOME to a directory");
  }
  const std::string key = fmt::format("{}/{}/{}", cpu_name(), isa_name(active_isa()), available_cores());
  return cache / "twofold" / fmt::format("machine-{}.json", hex64(xxh3(as_bytes(key))));
}

Json profile_to_json(const MachineProfile& profile) {
  Json read = Json::array();
  for (std::size_t i = 0; i < profile.threads.size(); ++i)
    read.push_back({{"threads", profile.threads[i]}, {"bytes_per_second", profile.read_bytes_per_second[i]}});
  Json codecs = Json::array();
  for (const CodecSpeed& speed : profile.codecs) {
    Json points = Json::array();
    for (const auto& point : speed.points) {
      points.push_back(
          {{"bits_per_weight", point.bits_per_weight}, {"weights_per_second", point.weights_per_second}});
    }
    Json shapes = Json::array();
    for (const auto& shape : speed.shapes) shapes.push_back({{"cols", shape.cols}, {"factor", shape.factor}});
    codecs.push_back({{"codec", speed.codec},
                      {"threads", speed.threads},
                      {"points", points},
                      {"shapes", shapes},
                      {"call_seconds", speed.call_seconds},
                      {"channel_seconds", speed.channel_seconds}});
  }
  Json storage = Json::array();
  for (const StorageSpeed& speed : profile.storage)
    storage.push_back({{"request_bytes", speed.request_bytes}, {"bytes_per_second", speed.bytes_per_second}});
  return {{"twofold_machine", kProfileVersion},
          {"cpu", profile.cpu},
          {"isa", profile.isa},
          {"cores", profile.cores},
          {"memory_read", read},
          {"codecs", codecs},
          {"storage_directory", profile.storage_directory},
          {"storage", storage},
          {"seconds", profile.seconds}};
}

MachineProfile parse_profile(const Json& json, std::string_view where) {
  json_int(json, "twofold_machine", where, kProfileVersion, kProfileVersion);
  MachineProfile profile;
  profile.cpu = json_string(json, "cpu", where);
  profile.isa = json_string(json, "isa", where);
  profile.cores = static_cast<int>(json_int(json, "cores", where, 1, 1 << 16));
  for (const Json& entry : bounded_array(json, "memory_read", where)) {
    const std::string at = fmt::format("{}: \"memory_read\"", where);
    const int least = profile.threads.empty() ? 1 : profile.threads.back() + 1;
    profile.threads.push_back(static_cast<int>(json_int(entry, "threads", at, least, 1 << 16)));
    profile.read_bytes_per_second.push_back(rate_field(entry, "bytes_per_second", at));
  }
  if (profile.threads.empty()) fail("{}: \"memory_read\": expected at least one entry", where);
  for (const Json& entry : bounded_array(json, "codecs", where))
    profile.codecs.push_back(parse_codec(entry, fmt::format("{}: \"codecs\"", where)));
  for (const int threads : profile.threads) {
    // Everything is compared with raw weights.
    const bool found = std::any_of(
        profile.codecs.begin(), profile.codecs.end(),
        [&](const CodecSpeed& speed) { return speed.codec == "raw" && speed.threads == threads; });
    if (!found) fail("{}: \"codecs\": raw on {} threads is missing", where, threads);
  }
  profile.storage_directory = json_string(json, "storage_directory", where);
  for (const Json& entry : bounded_array(json, "storage", where)) {
    const std::string at = fmt::format("{}: \"storage\"", where);
    profile.storage.push_back(
        {static_cast<std::uint64_t>(json_int(entry, "request_bytes", at, 1, std::int64_t{1} << 40)),
         rate_field(entry, "bytes_per_second", at)});
  }
  profile.seconds = json_double(json, "seconds", where, 0, 1e9);
  return profile;
}

MachineProfile load_profile(const fs::path& path) {
  MachineProfile profile = parse_profile(read_json_file(path, kMaxProfileBytes), path.string());
  const auto same = [&](const char* what, const auto& found, const auto& here) {
    if (found != here) {
      fail("{}: measured with {} {}, this machine has {}: run `twofold measure`", path.string(), what,
           json_quote(fmt::format("{}", found)), json_quote(fmt::format("{}", here)));
    }
  };
  same("CPU", profile.cpu, cpu_name());
  same("instruction set", profile.isa, std::string(isa_name(active_isa())));
  same("cores", profile.cores, available_cores());
  return profile;
}

void save_profile(const MachineProfile& profile, const fs::path& path) {
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  if (error) fail("{}: cannot make the directory: {}", path.parent_path().string(), error.message());
  fs::path temporary = path;
  temporary += fmt::format(".{}.partial", getpid());
  fs::remove(temporary, error);
  write_file(temporary, profile_to_json(profile).dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  fs::rename(temporary, path, error);
  if (error) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
    fail("{}: cannot rename the profile to it: {}", path.string(), error.message());
  }
}

}  // namespace twofold
