#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "base/file.h"
#include "expect_error.h"
#include "support/temp_directory.h"

namespace twofold {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(StagedDirectory, AppearsWholeAtCommit) {
  const TempDirectory directory;
  {
    StagedDirectory staged(directory / "out");
    write_file(staged.path() / "a", "1");
    EXPECT_FALSE(fs::exists(directory / "out"));
    staged.commit();
    EXPECT_EQ(read_file(directory / "out" / "a"), "1");
  }
  EXPECT_TRUE(fs::exists(directory / "out" / "a"));
  EXPECT_FALSE(fs::exists(directory / "out.partial"));
}

TEST(StagedDirectory, LeavesNothingWithoutCommit) {
  const TempDirectory directory;
  {
    const StagedDirectory staged(directory / "out");
    write_file(staged.path() / "a", "1");
    fs::create_directory(staged.path() / "sub");
  }
  EXPECT_TRUE(fs::is_empty(directory.path()));
}

TEST(StagedDirectory, RefusesWhatExists) {
  const TempDirectory directory;
  fs::create_directory(directory / "dir");
  write_file(directory / "file", "");
  fs::create_symlink("nowhere", directory / "link");
  for (const char* name : {"dir", "dir/", "file", "link"}) {
    EXPECT_THAT(error_of([&] { StagedDirectory staged(directory / name); }), HasSubstr("already exists"))
        << name;
  }
  EXPECT_THAT(error_of([&] { StagedDirectory staged(directory / "no/out"); }),
              HasSubstr("no such directory"));
  EXPECT_THROW(StagedDirectory staged(""), UsageError);
}

TEST(StagedDirectory, ADestinationThatAppearsMeanwhileIsKept) {
  const TempDirectory directory;
  {
    StagedDirectory staged(directory / "out");
    write_file(staged.path() / "a", "1");
    fs::create_directory(directory / "out");
    EXPECT_THAT(error_of([&] { staged.commit(); }), HasSubstr("cannot rename"));
  }
  EXPECT_TRUE(fs::is_empty(directory / "out"));
  EXPECT_FALSE(fs::exists(directory / "out.partial"));
}

TEST(StagedDirectory, ATrailingSlashNamesTheSameDirectory) {
  const TempDirectory directory;
  StagedDirectory staged(directory / "out/");
  EXPECT_EQ(staged.path(), directory / "out.partial");
  staged.commit();
  EXPECT_TRUE(fs::is_directory(directory / "out"));
}

TEST(StagedDirectory, TwoWritersOfOneDestinationExcludeEachOther) {
  const TempDirectory directory;
  StagedDirectory first(directory / "out");
  write_file(first.path() / "a", "1");
  EXPECT_THAT(error_of([&] { StagedDirectory second(directory / "out"); }),
              HasSubstr("another process is writing it"));
  EXPECT_TRUE(fs::exists(first.path() / "a"));
  first.commit();
  EXPECT_EQ(read_file(directory / "out" / "a"), "1");
}

TEST(StagedDirectory, RemovesWhatAKilledProcessLeft) {
  const TempDirectory directory;
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const StagedDirectory staged(directory / "out");
    fs::create_directories(staged.path() / "sub" / "deep");
    for (int i = 0; i < 100; ++i) write_file(staged.path() / std::to_string(i), "left");
    kill(getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  ASSERT_TRUE(fs::exists(directory / "out.partial" / "99"));
  StagedDirectory staged(directory / "out");
  EXPECT_TRUE(fs::is_empty(staged.path()));
  staged.commit();
  EXPECT_TRUE(fs::is_empty(directory / "out"));
}

TEST(StagedDirectory, FollowsNoLinkInPlaceOfTheStagingDirectory) {
  const TempDirectory directory;
  const TempDirectory victim;
  write_file(victim / "precious", "1");
  fs::create_directory_symlink(victim.path(), directory / "out.partial");
  EXPECT_THAT(error_of([&] { StagedDirectory staged(directory / "out"); }),
              AllOf(HasSubstr("out.partial"), HasSubstr("cannot open directory")));
  EXPECT_TRUE(fs::exists(victim / "precious"));
}

}  // namespace
}  // namespace twofold
