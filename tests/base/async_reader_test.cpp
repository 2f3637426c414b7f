#include "base/async_reader.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "base/pages.h"
#include "expect_error.h"
#include "support/temp_directory.h"

namespace twofold {
namespace {

class AsyncReaders : public ::testing::TestWithParam<const char*> {
 protected:
  std::unique_ptr<AsyncReader> make(std::size_t depth) {
    return GetParam() == std::string("uring") ? make_uring_reader(depth) : make_thread_reader(depth);
  }
};

TEST_P(AsyncReaders, ReadsPartsInAnyOrderAndStopsAtTheEnd) {
  if (make(4) == nullptr) GTEST_SKIP() << "no io_uring here";
  constexpr std::size_t kPage = DirectFile::kPage;
  std::string contents(20 * kPage + 77, ' ');
  for (std::size_t i = 0; i < contents.size(); ++i) contents[i] = static_cast<char>(i * 31 / 7);
  const TempDirectory directory;
  write_file(directory / "file", contents);
  const DirectFile file(directory / "file");
  const Pages memory(22 * kPage);
  {
    const auto reader = make(4);
    std::size_t submitted = 0;
    for (std::size_t done = 0; done < 11; ++done) {
      for (; submitted < 11 && submitted < done + 4; ++submitted) {
        const std::size_t begin = 2 * kPage * submitted;
        reader->submit({&file, begin, {memory.data() + begin, 2 * kPage}, submitted});
      }
      const ReadResult result = reader->wait();
      EXPECT_EQ(result.bytes, result.tag == 10 ? 77 : static_cast<std::int64_t>(2 * kPage));
    }
  }
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(memory.data()), contents.size()), contents);

  const auto reader = make(2);
  reader->submit({&file, 64 * kPage, {memory.data(), kPage}, 1});
  EXPECT_EQ(reader->wait().bytes, 0);
  reader->submit({&file, 0, {memory.data(), kPage}, 2});  // left to the destructor
}

INSTANTIATE_TEST_SUITE_P(Readers, AsyncReaders, ::testing::Values("uring", "threads"));

TEST(DirectFile, MissingFilesAndOthersThanFilesAreErrors) {
  const TempDirectory directory;
  EXPECT_NE(error_of([&] { DirectFile(directory / "none"); }).find("none: cannot open"), std::string::npos);
  EXPECT_NE(error_of([&] { DirectFile{directory.path()}; }).find("regular file"), std::string::npos);
}

TEST(DirectFile, FilesystemsThatCannotReadDirectlyAreReadAllTheSame) {
  const std::filesystem::path path = "/proc/self/exe";  // a link to a real file
  EXPECT_NO_THROW(DirectFile{path});
  const std::filesystem::path memory = "/dev/shm";
  if (!std::filesystem::is_directory(memory)) GTEST_SKIP() << "no /dev/shm";
  const TempDirectory directory(memory);
  write_file(directory / "file", "abc");
  const DirectFile file(directory / "file");
  const Pages page(DirectFile::kPage);
  const auto reader = make_async_reader(1);
  reader->submit({&file, 0, {page.data(), page.size()}, 7});
  EXPECT_EQ(reader->wait().bytes, 3);
  file.forget(0, page.size());
}

}  // namespace
}  // namespace twofold
