#include "tensor/checkpoint.h"

#include "expect_error.h"
#include "support/temp_directory.h"

namespace twofold {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

void write_shard(const fs::path& path, const std::vector<std::string>& names) {
  SafetensorsWriter writer(path, 1000);
  for (const std::string& name : names) writer.add(name, DType::kU8, {2, 2}, as_bytes("abcd"));
  writer.finish({});
}

void write_index(const TempDirectory& directory, const std::string& weight_map) {
  write_file(directory / "model.safetensors.index.json",
             "{\"metadata\": {}, \"weight_map\": " + weight_map + "}");
}

std::string open_error(const TempDirectory& directory) {
  return error_of([&] { Checkpoint checkpoint(directory.path()); });
}

TEST(Checkpoint, OneFileAndShardsLookTheSame) {
  const TempDirectory single;
  write_shard(single / "model.safetensors", {"a", "b"});
  const TempDirectory sharded;
  write_shard(sharded / "x.safetensors", {"a"});
  write_shard(sharded / "y.safetensors", {"b"});
  write_index(sharded, R"({"a": "x.safetensors", "b": "y.safetensors"})");
  for (const TempDirectory* directory : {&single, &sharded}) {
    const Checkpoint checkpoint(directory->path());
    EXPECT_EQ(checkpoint.tensors().size(), 2U);
    EXPECT_TRUE(checkpoint.contains("a"));
    EXPECT_FALSE(checkpoint.contains("c"));
    EXPECT_EQ(checkpoint.at("b", {2, 2}).bytes[3], 'd');
    checkpoint.release(checkpoint.at("b"));
    EXPECT_EQ(checkpoint.at("b").bytes[3], 'd');
    EXPECT_THAT(error_of([&] { checkpoint.at("c"); }), HasSubstr("no tensor \"c\""));
    EXPECT_THAT(
        error_of([&] {
          checkpoint.at("a", {4, 1});
        }),
        AllOf(HasSubstr(".safetensors: tensor \"a\""), HasSubstr("expected shape [4, 1], found [2, 2]")));
  }
}

TEST(Checkpoint, LinkedFilesAreFollowed) {
  const TempDirectory blobs;
  const TempDirectory directory;
  write_shard(blobs / "blob", {"a"});
  fs::create_symlink(blobs / "blob", directory / "model.safetensors");
  EXPECT_TRUE(Checkpoint(directory.path()).contains("a"));
}

TEST(Checkpoint, ADirectoryWithoutAModelIsAClearError) {
  const TempDirectory directory;
  EXPECT_THAT(open_error(directory),
              HasSubstr("has neither model.safetensors nor model.safetensors.index.json"));
  EXPECT_THAT(error_of([&] { Checkpoint checkpoint(directory / "no"); }),
              HasSubstr("/no: no such directory"));
  write_file(directory / "file", "");
  EXPECT_THAT(error_of([&] { Checkpoint checkpoint(directory / "file"); }),
              HasSubstr("/file: not a directory"));
  write_file(directory / "pytorch_model.bin", "");
  EXPECT_THAT(open_error(directory),
              AllOf(HasSubstr("pytorch_model.bin"), HasSubstr("only safetensors files are read")));
}

TEST(Checkpoint, HostileIndexesAreErrors) {
  const TempDirectory directory;
  write_shard(directory / "x.safetensors", {"a"});
  const auto error_with = [&](const std::string& weight_map) {
    fs::remove(directory / "model.safetensors.index.json");
    write_index(directory, weight_map);
    return open_error(directory);
  };
  for (const char* name :
       {"../x.safetensors", "/etc/passwd", "sub/x.safetensors", "..", ".", "", "x\\u0000.safetensors"}) {
    EXPECT_THAT(
        error_with(R"({"a": ")" + std::string(name) + "\"}"),
        AllOf(HasSubstr("index.json: \"weight_map\": tensor \"a\""), HasSubstr("in the same directory")))
        << name;
  }
  EXPECT_THAT(error_with(R"({"a": 1})"), HasSubstr("found no string"));
  EXPECT_THAT(error_with(R"([])"), HasSubstr("\"weight_map\": expected an object"));
  EXPECT_THAT(error_with(R"({})"), HasSubstr("\"weight_map\" is empty"));
  EXPECT_THAT(error_with(R"({"a": "gone.safetensors"})"), HasSubstr("gone.safetensors: no such file"));
  EXPECT_THAT(error_with(R"({"a": "x.safetensors", "b": "x.safetensors"})"),
              HasSubstr("x.safetensors: tensor \"b\" is missing"));
  write_shard(directory / "y.safetensors", {"a", "c"});
  EXPECT_THAT(error_with(R"({"a": "x.safetensors", "c": "y.safetensors"})"),
              AllOf(HasSubstr("y.safetensors: tensor \"a\""), HasSubstr("x.safetensors has it too")));
}

TEST(Checkpoint, ReadsTheDemoModel) {
  const Checkpoint checkpoint(fs::path(TWOFOLD_SOURCE_DIR) / "demo" / "books-llama-8m");
  const TensorView& up = checkpoint.at("model.layers.7.mlp.up_proj.weight", {768, 256});
  EXPECT_EQ(up.dtype, DType::kBF16);
  std::vector<float> values(static_cast<std::size_t>(up.elements()));
  to_float(up.dtype, up.bytes, values);
  for (const float value : values) ASSERT_LT(std::abs(value), 10.0F);
}

}  // namespace
}  // namespace twofold
