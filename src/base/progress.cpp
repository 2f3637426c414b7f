#include "base/progress.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace twofold {

namespace {

constexpr int kBarWidth = 30;  // characters
constexpr auto kRedraw = std::chrono::milliseconds(100);

}  // namespace

std::string format_duration(double seconds) {
  if (!(seconds > 0)) seconds = 0;  // also what is not a number
  const auto whole = static_cast<std::uint64_t>(std::llround(std::min(seconds, 1e9)));
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

std::string format_bytes(std::uint64_t bytes) {
  if (bytes < 1000) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes);
  const char* unit = "";
  for (const char* next : {"kB", "MB", "GB", "TB"}) {
    if (value < 999.95) break;
    value /= 1000;
    unit = next;
  }
  return fmt::format("{:.1f} {}", value, unit);
}

Progress::Progress(std::string label, std::uint64_t total)
    : label_(std::move(label)),
      total_(std::max<std::uint64_t>(total, 1)),
      terminal_(isatty(STDERR_FILENO) != 0),
      start_(Clock::now()),
      drawn_(start_ - kRedraw) {}

Progress::~Progress() {
  if (terminal_ && drawn_ >= start_) std::fputs("\n", stderr);
}

void Progress::advance(std::uint64_t amount, const std::string& detail) {
  done_ += std::min(amount, total_ - done_);
  draw(detail, done_ == total_);
}

void Progress::draw(const std::string& detail, bool last) {
  const auto now = Clock::now();
  const double share = static_cast<double>(done_) / static_cast<double>(total_);
  const double elapsed = std::chrono::duration<double>(now - start_).count();
  const double left = share > 0 ? elapsed / share - elapsed : 0;
  if (terminal_) {
    if (!last && now - drawn_ < kRedraw) return;
    drawn_ = now;
    const int filled = static_cast<int>(share * kBarWidth);
    fmt::print(stderr, "\r\033[K{} [{}{}] {:3.0f} % {} {} {}", label_, std::string(filled, '#'),
               std::string(kBarWidth - filled, '.'), share * 100, last ? "in" : "ETA",
               format_duration(last ? elapsed : left), detail);
    std::fflush(stderr);
    return;
  }
  const int tenths = static_cast<int>(share * 10);
  if (tenths == tenths_shown_) return;
  tenths_shown_ = tenths;
  fmt::print(stderr, "{}: {} %, {} {}\n", label_, tenths * 10, last ? "took" : "time left",
             format_duration(last ? elapsed : left));
}

}  // namespace twofold
