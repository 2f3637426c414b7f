#include "base/file.h"

#include <sys/stat.h>

#include <vector>

#include "base/hash.h"
#include "expect_error.h"
#include "support/temp_directory.h"

namespace twofold {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

std::string text_of(std::span<const std::uint8_t> bytes) {
  return {bytes.begin(), bytes.end()};
}

TEST(File, ReadsRangesAndReportsAnEarlyEnd) {
  const TempDirectory directory;
  write_file(directory / "a", "0123456789");
  const File file(directory / "a");
  EXPECT_EQ(file.size(), 10U);
  std::vector<std::uint8_t> part(4);
  file.read(6, part);
  EXPECT_EQ(text_of(part), "6789");
  EXPECT_THAT(error_of([&] { file.read(7, part); }), AllOf(HasSubstr("/a: "), HasSubstr("ends at byte 10")));
}

TEST(File, OnlyRegularFilesAreOpened) {
  const TempDirectory directory;
  EXPECT_THAT(error_of([&] { File file(directory / "absent"); }),
              AllOf(HasSubstr("absent"), HasSubstr("cannot open")));
  EXPECT_THAT(error_of([&] { File file(directory.path()); }), HasSubstr("expected a regular file"));
  // A pipe without a writer must not block.
  ASSERT_EQ(mkfifo((directory / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(error_of([&] { File file(directory / "pipe"); }), HasSubstr("expected a regular file"));
}

TEST(MappedFile, ShowsTheContentsAlsoAfterRelease) {
  const TempDirectory directory;
  std::string contents(20'000, 'x');
  contents[19'999] = 'y';
  write_file(directory / "a", contents);
  const MappedFile file(directory / "a");
  EXPECT_EQ(text_of(file.bytes()), contents);
  file.release(file.bytes().subspan(5'000, 10'000));
  file.release({});
  EXPECT_EQ(text_of(file.bytes()), contents);
  write_file(directory / "empty", "");
  EXPECT_TRUE(MappedFile(directory / "empty").bytes().empty());
}

TEST(FileWriter, WritesInOrderWithPatches) {
  const TempDirectory directory;
  FileWriter writer(directory / "a");
  writer.write(as_bytes("abc"));
  writer.write_zeros(5000);
  writer.write(as_bytes("end"));
  writer.overwrite(1, as_bytes("XY"));
  EXPECT_EQ(writer.position(), 5006U);
  writer.close();
  EXPECT_EQ(read_file(directory / "a"), "aXY" + std::string(5000, '\0') + "end");
  EXPECT_THAT(error_of([&] { FileWriter again(directory / "a"); }),
              AllOf(HasSubstr("/a: "), HasSubstr("cannot create")));
}

TEST(ReadFile, RefusesMoreThanTheLimit) {
  const TempDirectory directory;
  write_file(directory / "a", "12345");
  EXPECT_EQ(read_file(directory / "a", 5), "12345");
  EXPECT_THAT(error_of([&] { read_file(directory / "a", 4); }), HasSubstr("has 5 bytes, expected at most 4"));
}

TEST(PlainFileName, StaysInItsDirectory) {
  for (const char* name : {"a", "a.b", "...", ".hidden", "a b", "\\"})
    EXPECT_TRUE(is_plain_file_name(name)) << name;
  for (const char* name : {"", ".", "..", "/a", "a/b", "../a", "a/"})
    EXPECT_FALSE(is_plain_file_name(name)) << name;
  EXPECT_FALSE(is_plain_file_name(std::string_view("a\0b", 3)));
}

TEST(DirectoryBytes, CountsRegularFilesAndFollowsLinks) {
  const TempDirectory directory;
  const TempDirectory elsewhere;
  write_file(directory / "a", "12345");
  write_file(elsewhere / "b", "123");
  fs::create_symlink(elsewhere / "b", directory / "link");
  fs::create_symlink(elsewhere / "absent", directory / "broken");
  fs::create_directory(directory / "sub");
  EXPECT_EQ(directory_bytes(directory.path()), 8U);
  EXPECT_THAT(error_of([&] { directory_bytes(directory / "absent"); }), HasSubstr("cannot list"));
}

TEST(Hash, IsXxh3) {
  EXPECT_EQ(hex64(xxh3({})), "2d06800538d394c2");
  EXPECT_EQ(hex64(xxh3(as_bytes("abc"))), "78af5f94892f3950");
  EXPECT_EQ(hex64(0x1234), "0000000000001234");
}

}  // namespace
}  // namespace twofold
