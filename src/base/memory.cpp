#include "base/memory.h"

#include <malloc.h>
#include <sys/resource.h>

#include <cstring>
#include <fstream>
#include <string>

#include "base/aligned.h"

namespace twofold {

namespace {

/// A figure of a file of /proc, which has them in KiB; 0 where there is none.
std::uint64_t proc_bytes(const char* path, const std::string& name) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(name)) return std::stoull(line.substr(name.size())) * 1024;
  }
  return 0;
}

template <std::size_t kStreams>
std::uint64_t read_words(std::span<const std::uint8_t> bytes) {
  const std::size_t part = bytes.size() / kStreams / kAlignment * kAlignment;
  std::uint64_t sums[8] = {};
  for (std::size_t i = 0; i < part; i += kAlignment) {
    for (std::size_t s = 0; s < kStreams; ++s) {
      std::uint64_t words[8];
      std::memcpy(words, bytes.data() + s * part + i, sizeof words);
      for (std::size_t k = 0; k < 8; ++k) sums[k] += words[k];
    }
  }
  std::uint64_t sum = 0;
  for (const std::uint64_t s : sums) sum += s;
  return sum;
}

}  // namespace

std::uint64_t peak_rss_bytes() {
  // The figure of getrusage begins with that of the program which started this one.
  if (const std::uint64_t peak = proc_bytes("/proc/self/status", "VmHWM:")) return peak;
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;  // Linux counts KiB
}

std::uint64_t rss_bytes() {
  // The rollup is exact; the other is a sum over threads that may lag behind.
  if (const std::uint64_t rss = proc_bytes("/proc/self/smaps_rollup", "Rss:")) return rss;
  return proc_bytes("/proc/self/status", "VmRSS:");
}

void return_free_memory() {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 256 << 10);
  malloc_trim(0);
#endif
}

std::uint64_t read_in_streams(std::span<const std::uint8_t> bytes, int streams) {
  switch (streams) {
    case 1:
      return read_words<1>(bytes);
    case 2:
      return read_words<2>(bytes);
    default:
      return read_words<4>(bytes);
  }
}

}  // namespace twofold
