#include "base/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <limits>

namespace twofold {
namespace {

TEST(FormatDuration, RoundsToSeconds) {
  EXPECT_EQ(format_duration(0), "0:00");
  EXPECT_EQ(format_duration(59.4), "0:59");
  EXPECT_EQ(format_duration(59.6), "1:00");
  EXPECT_EQ(format_duration(65), "1:05");
  EXPECT_EQ(format_duration(3599.7), "1:00:00");
  EXPECT_EQ(format_duration(7389), "2:03:09");
  EXPECT_EQ(format_duration(-5), "0:00");
  EXPECT_EQ(format_duration(std::numeric_limits<double>::infinity()), format_duration(1e9));
  EXPECT_EQ(format_duration(std::numeric_limits<double>::quiet_NaN()), "0:00");
}

TEST(FormatBytes, UsesDecimalUnits) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(999), "999 B");
  EXPECT_EQ(format_bytes(1000), "1.0 kB");
  EXPECT_EQ(format_bytes(999'949), "999.9 kB");
  EXPECT_EQ(format_bytes(999'950), "1.0 MB");
  EXPECT_EQ(format_bytes(16'794'112), "16.8 MB");
  EXPECT_EQ(format_bytes(7'500'000'000), "7.5 GB");
  EXPECT_EQ(format_bytes(2'000'000'000'000), "2.0 TB");
  EXPECT_EQ(format_bytes(std::numeric_limits<std::uint64_t>::max()), "18446744.1 TB");
}

/// What the steps print where stderr is not a terminal.
std::string printed(std::uint64_t total, const std::vector<std::uint64_t>& steps) {
  testing::internal::CaptureStderr();
  {
    Progress progress("Coding", total);
    for (const std::uint64_t step : steps) progress.advance(step);
  }
  return testing::internal::GetCapturedStderr();
}

TEST(Progress, PrintsALineAtEachTenth) {
  const std::string lines = printed(100, std::vector<std::uint64_t>(100, 1));
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 10) << lines;
  EXPECT_THAT(lines, testing::HasSubstr("Coding: 10 %, time left "));
  EXPECT_THAT(lines, testing::HasSubstr("Coding: 100 %, took 0:00\n"));
}

TEST(Progress, StopsAtTheTotalAndSurvivesNothingToDo) {
  EXPECT_EQ(printed(10, {10, 10, 10}), "Coding: 100 %, took 0:00\n");
  EXPECT_EQ(printed(10, {UINT64_MAX, UINT64_MAX}), "Coding: 100 %, took 0:00\n");
  EXPECT_EQ(printed(0, {}), "");
  EXPECT_EQ(printed(10, {5, 0, 0}), "Coding: 50 %, time left 0:00\n");
}

}  // namespace
}  // namespace twofold
