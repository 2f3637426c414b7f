#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "plan/machine_profile.h"

namespace twofold {

struct MeasureOptions {
  std::vector<std::string> codecs = {"raw", "packed", "tiered", "ans8", "ans"};
  std::vector<double> entropies = {2.5, 3.5, 4.5, 6.5};  // bits per weight; the last is that of a head
  std::vector<std::int64_t> columns = {2048, 4096, 11008};
  std::int64_t base_columns = 4096;         // of `entropies`
  std::int64_t call_weights = 1 << 24;      // of a product, as a layer has them
  std::uint64_t bytes = 0;                  // coded weights in memory; 0: twice the last-level cache
  int repetitions = 9;                      // the lower quartile counts
  std::filesystem::path storage;            // a directory on the storage to measure; empty: none
  std::uint64_t storage_bytes = 256 << 20;  // of the file that is read there

  /// Less of everything: seconds instead of half a minute, and figures to match.
  static MeasureOptions quick();
};

/// Measures this machine, on 1, 2, 4 ... threads and on all. `progress(fraction)` is called as work is done.
MachineProfile measure_machine(const MeasureOptions& options, const std::function<void(double)>& progress);

/// Bytes per second of sequential reads past the page cache, by request size, of a file written to
/// `directory` and removed again. Throws Error when it cannot be written.
std::vector<StorageSpeed> measure_storage(const std::filesystem::path& directory, std::uint64_t bytes,
                                          int repetitions);

/// Bytes per second at which so many threads read memory beyond the caches.
double measure_read_rate(std::span<const std::uint8_t> memory, int threads, int repetitions);

/// Bytes of the largest cache the system tells of, or 32 MiB.
std::uint64_t last_level_cache_bytes();

}  // namespace twofold
