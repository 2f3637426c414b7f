#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "format/fixture.h"

namespace twofold {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int kExitDone = 0;
constexpr int kExitUntraceable = 3;

enum class Fate { kKilled, kEnded, kUntraceable };

/// Writes the container in a child that is killed at its n-th system call, entry and return counting one
/// each, if it gets there. Only system calls change files, so these are all the moments that differ.
Fate write_and_kill(const SmallModel& model, const fs::path& destination, int stops) {
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("fork failed");
  if (child == 0) {
    if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(kExitUntraceable);
    raise(SIGSTOP);
    try {
      model.write(destination, 4000, 1);
    } catch (const std::exception& error) {
      fmt::print(stderr, "{}\n", error.what());
      _exit(1);
    }
    _exit(kExitDone);
  }
  int status = 0;
  waitpid(child, &status, 0);
  for (int stop = 0; stop < stops && WIFSTOPPED(status); ++stop) {
    ptrace(PTRACE_SYSCALL, child, nullptr, nullptr);
    waitpid(child, &status, 0);
  }
  if (WIFSTOPPED(status)) {
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    return Fate::kKilled;
  }
  EXPECT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == kExitUntraceable) return Fate::kUntraceable;
  EXPECT_EQ(WEXITSTATUS(status), kExitDone);
  return Fate::kEnded;
}

TEST(AtomicContainer, KilledAtAnySystemCallItIsCompleteOrAbsentAndTheNextRunWorks) {
  const SmallModel model;
  // In memory where possible: hundreds of runs would wait for a disk to sync.
  const fs::path parent = fs::is_directory("/dev/shm") ? fs::path("/dev/shm") : fs::temp_directory_path();
  int absent = 0;
  int complete = 0;
  for (int stops = 0;; ++stops) {
    const TempDirectory directory(parent);
    const fs::path out = directory / "out";
    const Fate fate = write_and_kill(model, out, stops);
    if (fate == Fate::kUntraceable) GTEST_SKIP() << "this system does not permit tracing a child";
    if (fs::exists(out)) {
      ++complete;
      ASSERT_NO_THROW(verify(out)) << stops;
      EXPECT_THAT(error_of([&] { model.write(out); }), HasSubstr("already exists"));
    } else {
      ++absent;
      ASSERT_NO_THROW(model.write(out, 4000, 1)) << stops;
      ASSERT_NO_THROW(verify(out)) << stops;
    }
    ASSERT_FALSE(fs::exists(directory / "out.partial")) << stops;
    if (fate == Fate::kEnded) break;
  }
  RecordProperty("moments", absent + complete);
  EXPECT_GT(absent, 50);
  EXPECT_GT(complete, 1);
}

/// Runs `action` in a child and returns the message of the Error it throws, or "" when it throws none.
std::string error_in_child(const std::function<void()>& action) {
  int ends[2];
  if (pipe(ends) != 0) throw std::runtime_error("pipe failed");
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("fork failed");
  if (child == 0) {
    std::string message;
    try {
      action();
    } catch (const Error& error) {
      message = error.what();
    } catch (...) {
      message = "not an Error";
    }
    _exit(::write(ends[1], message.data(), message.size()) == static_cast<ssize_t>(message.size()) ? 0 : 1);
  }
  ::close(ends[1]);
  std::string message(4096, '\0');
  std::size_t size = 0;
  for (ssize_t got = 1; got > 0 && size < message.size();
       size += static_cast<std::size_t>(std::max<ssize_t>(got, 0))) {
    got = ::read(ends[0], message.data() + size, message.size() - size);
  }
  ::close(ends[0]);
  message.resize(size);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  return message;
}

TEST(AtomicContainer, AFileThatCannotGrowIsAnErrorAndNothingIsLeft) {
  const SmallModel model;
  const TempDirectory directory;
  model.write(directory / "whole");
  const std::uint64_t size = fs::file_size(directory / "whole" / "model.safetensors");
  for (const std::uint64_t limit : {std::uint64_t{0}, std::uint64_t{100}, size / 2, size - 1}) {
    const TempDirectory own;
    const std::string message = error_in_child([&] {
      signal(SIGXFSZ, SIG_IGN);
      const rlimit limits{limit, limit};
      setrlimit(RLIMIT_FSIZE, &limits);
      model.write(own / "out");
    });
    EXPECT_THAT(message, HasSubstr("write failed: File too large")) << limit;
    EXPECT_TRUE(fs::is_empty(own.path())) << limit;
  }
}

TEST(AtomicContainer, AFullDiskIsAnErrorAndNothingIsLeft) {
  const TempDirectory directory;
  const Weights weights = random_weights(2048 * 1024, 1);
  const std::string message = error_in_child([&] {
    // A small file system that only the child sees.
    if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("none", directory.path().c_str(), "tmpfs", 0, "size=1m") != 0) {
      fail("cannot mount");
    }
    try {
      ContainerWriter writer(directory / "out", {"w"}, UINT64_MAX);
      ThreadPool pool(2);
      writer.add_coded(parts_of("w", 2048, 1024), weights, find_codec("raw"), pool);
      writer.commit(Json::object(), Json::object());
    } catch (const Error& error) {
      fail("{}; {} left", error.what(), fs::is_empty(directory.path()) ? "nothing" : "something");
    }
  });
  if (message == "cannot mount") GTEST_SKIP() << "this system does not permit mounting";
  EXPECT_THAT(message, AllOf(HasSubstr("out.partial/"),
                             HasSubstr("write failed: No space left on device; nothing left")));
}

TEST(AtomicContainer, AnErrorOnTheWayLeavesNothing) {
  const TempDirectory directory;
  {
    ContainerWriter writer(directory / "out", {"w"}, UINT64_MAX);
    ThreadPool pool(1);
    Weights weights = random_weights(64, 1);
    weights[0] = -128;
    EXPECT_THROW(writer.add_coded(parts_of("w", 8, 8), weights, find_codec("raw"), pool), Error);
  }
  EXPECT_TRUE(fs::is_empty(directory.path()));
}

}  // namespace
}  // namespace twofold
