#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <vector>

namespace twofold {
namespace {

TEST(ThreadPool, CoversTheRangeOnceInContiguousParts) {
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    ASSERT_EQ(pool.size(), threads);
    for (const std::size_t count : {0, 1, 2, 3, 7, 8, 9, 1000}) {
      std::vector<int> visits(count, 0);
      std::vector<int> parts(static_cast<std::size_t>(threads), 0);
      pool.run(count, [&](std::size_t begin, std::size_t end, int worker) {
        ASSERT_LT(begin, end);
        ++parts.at(static_cast<std::size_t>(worker));
        for (std::size_t i = begin; i < end; ++i) ++visits.at(i);
      });
      EXPECT_EQ(visits, std::vector<int>(count, 1));
      for (const int part : parts) EXPECT_LE(part, 1);
    }
  }
}

TEST(ThreadPool, CutsTheSameWayEachTime) {
  ThreadPool pool(3);
  std::vector<std::size_t> first(3);
  std::vector<std::size_t> second(3);
  pool.run(100, [&](std::size_t begin, std::size_t, int worker) {
    first[static_cast<std::size_t>(worker)] = begin;
  });
  pool.run(100, [&](std::size_t begin, std::size_t, int worker) {
    second[static_cast<std::size_t>(worker)] = begin;
  });
  EXPECT_EQ(first, second);
  EXPECT_EQ(first, (std::vector<std::size_t>{0, 34, 67}));
}

TEST(ThreadPool, RethrowsOneErrorAndKeepsWorking) {
  for (const int threads : {1, 4}) {
    ThreadPool pool(threads);
    for (int round = 0; round < 20; ++round) {
      EXPECT_THROW(
          pool.run(100, [&](std::size_t, std::size_t, int) { throw std::runtime_error("each part"); }),
          std::runtime_error);
      EXPECT_THROW(pool.run(100,
                            [&](std::size_t, std::size_t end, int) {
                              if (end == 100) throw std::runtime_error("one part");
                            }),
                   std::runtime_error);
      std::atomic<int> sum{0};
      pool.run(10, [&](std::size_t begin, std::size_t end, int) { sum += static_cast<int>(end - begin); });
      EXPECT_EQ(sum, 10);
    }
  }
}

TEST(ThreadPool, ManyShortRunsSeeEachOthersResults) {
  ThreadPool pool(4);
  std::vector<long> values(16, 0);
  for (int round = 0; round < 1000; ++round) {
    // Each item is touched by another worker than in the round before.
    pool.run(16, [&](std::size_t begin, std::size_t end, int) {
      for (std::size_t i = begin; i < end; ++i) ++values[(i + static_cast<std::size_t>(round)) % 16];
    });
  }
  EXPECT_EQ(values, std::vector<long>(16, 1000));
}

TEST(ThreadPool, StartsOneThreadPerCoreByDefault) {
  EXPECT_EQ(ThreadPool().size(), available_cores());
}

}  // namespace
}  // namespace twofold
