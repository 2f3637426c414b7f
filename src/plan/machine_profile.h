#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace twofold {

inline constexpr int kProfileVersion = 1;

/// How fast one codec's products for one token come from memory, on so many threads, with everything that
/// `multiply_group` does. Rates are of INT8 weights.
struct CodecSpeed {
  struct Point {
    double bits_per_weight = 0;  // coded
    double weights_per_second = 0;
  };
  struct Shape {
    std::int64_t cols = 0;
    double factor = 1;  // rate with so many input channels, to that of `points`
  };
  std::string codec;
  int threads = 1;
  std::vector<Point> points;   // in order of bits, at least one
  std::vector<Shape> shapes;   // in order of columns
  double call_seconds = 0;     // of a product besides its weights
  double channel_seconds = 0;  // more of it for each input channel

  /// Between points linear in the time of a weight; beyond them as at the last one.
  double weights_per_second(double bits_per_weight, std::int64_t cols) const;
};

struct StorageSpeed {
  std::uint64_t request_bytes = 0;
  double bytes_per_second = 0;
};

/// What `twofold measure` finds out about a machine.
struct MachineProfile {
  std::string cpu;  // as /proc/cpuinfo names it
  std::string isa;
  int cores = 1;                              // that the process could run on
  std::vector<int> threads;                   // numbers of threads measured, rising from 1
  std::vector<double> read_bytes_per_second;  // of memory, for each of `threads`
  std::vector<CodecSpeed> codecs;
  std::string storage_directory;      // empty: not measured
  std::vector<StorageSpeed> storage;  // in order of request size
  double seconds = 0;                 // that measuring took

  /// The measured number of threads next to the one asked for; 0 asks for the most.
  int nearest_threads(int wanted) const;
  double read_rate(int wanted_threads) const;
  /// Throws Error that lists the codecs there are.
  const CodecSpeed& codec(std::string_view name, int wanted_threads) const;
  /// Sequential reads with large requests; 0 when storage was not measured.
  double storage_rate() const;
};

/// Name of this machine's CPU, and the cores this process may run on.
std::string cpu_name();

/// $XDG_CACHE_HOME/twofold/machine-HASH.json (or ~/.cache), the hash of CPU, instruction set and cores.
std::filesystem::path default_profile_path();

/// Throws Error for anything wrong with the file, and when it is of another CPU, instruction set or number
/// of cores than this machine has.
MachineProfile load_profile(const std::filesystem::path& path);
/// Writes a temporary file and renames it; makes the directory.
void save_profile(const MachineProfile& profile, const std::filesystem::path& path);

Json profile_to_json(const MachineProfile& profile);
/// `where` names the file. Numbers must be finite and in range; does not ask which machine it is.
MachineProfile parse_profile(const Json& json, std::string_view where);

}  // namespace twofold
