#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace twofold {

/// Progress of a long task on stderr: a bar with the time left on a terminal, otherwise a plain line at
/// each tenth. One thread at a time.
class Progress {
 public:
  Progress(std::string label, std::uint64_t total);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Adds to what is done. `detail` is shown behind the bar.
  void advance(std::uint64_t amount, const std::string& detail = "");

 private:
  using Clock = std::chrono::steady_clock;
  void draw(const std::string& detail, bool last);

  std::string label_;
  std::uint64_t total_;
  std::uint64_t done_ = 0;
  int tenths_shown_ = 0;
  bool terminal_;
  Clock::time_point start_;
  Clock::time_point drawn_;
};

/// "1:05" or "2:03:09".
std::string format_duration(double seconds);

/// "16.8 MB": decimal units, as disk and model sizes are given.
std::string format_bytes(std::uint64_t bytes);

}  // namespace twofold
