#include "base/cpu_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/thread_pool.h"

namespace twofold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<int> parsed(std::string_view text) {
  return parse_cpu_list(text, "--cpus");
}

/// The CPUs the calling thread may run on.
std::vector<int> allowed() {
  cpu_set_t set;
  CPU_ZERO(&set);
  EXPECT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(static_cast<unsigned>(cpu), &set)) cpus.push_back(cpu);
  }
  return cpus;
}

TEST(CpuList, NumbersAndRangesInTheirOrder) {
  EXPECT_THAT(parsed(""), IsEmpty());
  EXPECT_THAT(parsed("0"), ElementsAre(0));
  EXPECT_THAT(parsed("0-3,8"), ElementsAre(0, 1, 2, 3, 8));
  EXPECT_THAT(parsed("5,2-2,1"), ElementsAre(5, 2, 1));
  EXPECT_THAT(parsed("1023"), ElementsAre(1023));
}

TEST(CpuList, AnythingElseIsAUsageErrorThatNamesTheFlag) {
  for (const char* text : {",", "0,", ",0", "a", "0a", "-1", "1-", "3-1", "1024", "0-1024", "0,0", "0-3,2",
                           "1--2", "0 ,1", "+1", "99999999999999999999", "0-3-5"}) {
    try {
      parsed(text);
      ADD_FAILURE() << text;
    } catch (const UsageError& error) {
      EXPECT_THAT(error.what(), HasSubstr("--cpus: expected CPUs from 0 to 1023")) << text;
    }
  }
}

TEST(CpuList, EachWorkerOfAPoolStaysOnItsCpu) {
  const std::vector<int> cpus = allowed();
  {
    ThreadPool pool(0, cpus);
    ASSERT_EQ(pool.size(), static_cast<int>(cpus.size()));
    std::vector<std::vector<int>> seen(cpus.size());
    pool.run(cpus.size(), [&](std::size_t, std::size_t, int worker) {
      seen[static_cast<std::size_t>(worker)] = allowed();
    });
    if (cpus.size() > 1) {  // else the caller computes alone
      for (std::size_t i = 0; i < cpus.size(); ++i) EXPECT_THAT(seen[i], ElementsAre(cpus[i]));
    }
    EXPECT_THAT(allowed(), ElementsAre(cpus[0]));
  }
  EXPECT_EQ(allowed(), cpus);
}

TEST(CpuList, FewerThreadsTakeTheFirstCpus) {
  const std::vector<int> cpus = allowed();
  const ThreadPool pool(1, cpus);
  EXPECT_EQ(pool.size(), 1);
  EXPECT_THAT(allowed(), ElementsAre(cpus[0]));
}

TEST(CpuList, MoreThreadsThanCpusAreAUsageError) {
  EXPECT_THROW(ThreadPool(2, std::vector<int>{0}), UsageError);
}

TEST(CpuList, ACpuTheMachineLacksIsAnErrorAndLeavesTheCallerAlone) {
  const std::vector<int> cpus = allowed();
  if (cpus.back() == 1023) GTEST_SKIP() << "the machine has CPU 1023";
  for (const std::vector<int>& list : {std::vector<int>{1023}, {cpus[0], 1023}, {1023, cpus[0]}}) {
    EXPECT_THROW(ThreadPool(0, list), Error);
    EXPECT_EQ(allowed(), cpus);
  }
}

}  // namespace
}  // namespace twofold
