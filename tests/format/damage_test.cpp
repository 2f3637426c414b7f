#include <fcntl.h>
#include <unistd.h>

#include "format/fixture.h"

namespace twofold {
namespace {

namespace fs = std::filesystem;

/// Small enough to try every byte.
void write_tiny(const fs::path& destination, std::uint64_t max_shard_bytes) {
  const TempDirectory sources;
  write_file(sources / "tokenizer.json", "{\"tokens\": []}");
  ContainerWriter writer(destination, {"a", "b", "c", "norm"}, max_shard_bytes);
  ThreadPool pool(1);
  CodedTensorParts parts = parts_of("a", 5, 33);
  parts.input_scale.assign(33, 1.5F);
  writer.add_coded(parts, random_weights(5 * 33, 1), find_codec("raw"), pool);
  parts = parts_of("b", 7, 33);
  parts.input_scale.assign(33, 1.5F);
  parts.scale.assign(7, 0.1F);
  writer.add_coded(parts, random_weights(7 * 33, 2), find_codec("ans"), pool);
  writer.add_plain(view_of("norm", DType::kBF16, {9}, random_bytes(18, 3)));
  writer.add_coded(parts_of("c", 3, 11), random_weights(33, 4), find_codec("zstd"), pool);
  writer.copy_file(sources / "tokenizer.json");
  writer.commit({{"model_type", "llama"}}, {{"steps", {"quantize"}}});
}

/// Changes one byte of a file in place, and back when destroyed.
class Damage {
 public:
  Damage(const fs::path& path, std::uint64_t offset, std::uint8_t flip) : offset_(offset), flip_(flip) {
    fd_ = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    change();
  }
  ~Damage() {
    change();
    ::close(fd_);
  }
  Damage(const Damage&) = delete;
  Damage& operator=(const Damage&) = delete;

 private:
  void change() {
    std::uint8_t byte = 0;
    if (::pread(fd_, &byte, 1, static_cast<off_t>(offset_)) != 1) throw std::runtime_error("pread");
    byte ^= flip_;
    if (::pwrite(fd_, &byte, 1, static_cast<off_t>(offset_)) != 1) throw std::runtime_error("pwrite");
  }

  int fd_ = -1;
  std::uint64_t offset_;
  std::uint8_t flip_;
};

bool detected(const fs::path& directory) {
  try {
    verify(directory);
    return false;
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return true;
  }
}

/// One and several shards.
class DamagedContainer : public testing::TestWithParam<std::uint64_t> {};

TEST_P(DamagedContainer, EveryFlippedByteOutsideOfTheConfigurationIsFound) {
  const TempDirectory directory;
  const fs::path out = directory / "out";
  write_tiny(out, GetParam());
  ASSERT_FALSE(detected(out));
  Random random(1);
  std::uint64_t flips = 0;
  for (const auto& entry : fs::directory_iterator(out)) {
    if (entry.path().filename() == "config.json") continue;
    for (std::uint64_t offset = 0; offset < entry.file_size(); ++offset, ++flips) {
      const auto flip = static_cast<std::uint8_t>(1U << random.below(8));
      const Damage damage(entry.path(), offset, flip);
      ASSERT_TRUE(detected(out)) << entry.path() << " byte " << offset << " flip " << int{flip};
    }
  }
  RecordProperty("flips", static_cast<int>(flips));
  EXPECT_FALSE(detected(out));
}

TEST_P(DamagedContainer, AFlippedByteOfTheConfigurationIsFoundWhereTheContainerDependsOnIt) {
  const TempDirectory directory;
  const fs::path out = directory / "out";
  write_tiny(out, GetParam());
  const fs::path path = out / "config.json";
  const Json original = read_json_file(path)["quantization_config"];
  Random random(2);
  int found = 0;
  for (std::uint64_t offset = 0; offset < fs::file_size(path); ++offset) {
    const Damage damage(path, offset, static_cast<std::uint8_t>(1U << random.below(8)));
    if (detected(out)) {
      ++found;
      continue;
    }
    const Json changed = read_json_file(path)["quantization_config"];
    EXPECT_EQ(changed["files"], original["files"]) << offset;
    EXPECT_EQ(changed["version"], original["version"]) << offset;
    EXPECT_EQ(changed["quant_method"], original["quant_method"]) << offset;
  }
  EXPECT_GT(found, 0);
}

TEST_P(DamagedContainer, EveryTruncationIsFound) {
  const TempDirectory directory;
  const fs::path out = directory / "out";
  write_tiny(out, GetParam());
  for (const auto& entry : fs::directory_iterator(out)) {
    const Bytes whole = bytes_of(entry.path());
    for (std::size_t size = whole.size() - 1; size < whole.size(); --size) {
      fs::resize_file(entry.path(), size);
      // All that config.json may lose is the line's end.
      const bool complete = entry.path().filename() == "config.json" && size == whole.size() - 1;
      ASSERT_NE(detected(out), complete) << entry.path() << " cut to " << size;
    }
    replace_file(entry.path(), whole);
  }
  EXPECT_FALSE(detected(out));
}

TEST_P(DamagedContainer, BytesBehindAFileAreFound) {
  const TempDirectory directory;
  const fs::path out = directory / "out";
  write_tiny(out, GetParam());
  for (const auto& entry : fs::directory_iterator(out)) {
    const Bytes whole = bytes_of(entry.path());
    fs::resize_file(entry.path(), whole.size() + 1);
    EXPECT_TRUE(detected(out)) << entry.path();
    replace_file(entry.path(), whole);
  }
}

TEST_P(DamagedContainer, AMissingFileIsFound) {
  const TempDirectory directory;
  const fs::path out = directory / "out";
  write_tiny(out, GetParam());
  for (const auto& entry : fs::directory_iterator(out)) {
    fs::rename(entry.path(), directory / "away");
    EXPECT_TRUE(detected(out)) << entry.path();
    fs::rename(directory / "away", entry.path());
  }
}

INSTANTIATE_TEST_SUITE_P(Shards, DamagedContainer, testing::Values(UINT64_MAX, 1),
                         [](const auto& shards) { return shards.param == 1 ? "Several" : "One"; });

}  // namespace
}  // namespace twofold
