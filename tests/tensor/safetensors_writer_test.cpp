#include <cstring>
#include <vector>

#include "base/hash.h"
#include "base/random.h"
#include "expect_error.h"
#include "support/temp_directory.h"
#include "tensor/safetensors.h"

namespace twofold {
namespace {

using ::testing::HasSubstr;
using Bytes = std::vector<std::uint8_t>;

Bytes random_bytes(std::size_t count) {
  Random random(count);
  Bytes bytes(count);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random.next());
  return bytes;
}

TEST(SafetensorsWriter, WhatIsWrittenIsReadBack) {
  const TempDirectory directory;
  const Bytes a = random_bytes(24);
  const Bytes b = random_bytes(1000);
  SafetensorsWriter writer(directory / "m.safetensors", 1000);
  writer.add("a", DType::kF32, {2, 3}, a);
  writer.begin_tensor("b", DType::kU8, {-1});
  writer.write(std::span(b).first(300));
  writer.write({});
  writer.write(std::span(b).subspan(300));
  writer.end_tensor();
  writer.add("scalar", DType::kBF16, {}, std::span(a).first(2));
  writer.add("empty", DType::kI64, {0, 4}, {});
  writer.add("name \"with\" \\ and \u00e9", DType::kU8, {1}, std::span(a).first(1));
  EXPECT_EQ(writer.data_bytes(), 24U + 1000 + 2 + 1);
  const auto summary = writer.finish({{"format", "pt"}, {"note", "a \"quoted\" line\n"}});

  const SafetensorsFile file(directory / "m.safetensors");
  ASSERT_EQ(file.tensors().size(), 5U);
  EXPECT_EQ(Bytes(file.tensors().at("a").bytes.begin(), file.tensors().at("a").bytes.end()), a);
  EXPECT_EQ(file.tensors().at("a").shape, (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(Bytes(file.tensors().at("b").bytes.begin(), file.tensors().at("b").bytes.end()), b);
  EXPECT_EQ(file.tensors().at("b").shape, (std::vector<std::int64_t>{1000}));
  EXPECT_TRUE(file.tensors().at("scalar").shape.empty());
  EXPECT_EQ(file.tensors().at("empty").elements(), 0);
  EXPECT_TRUE(file.tensors().contains("name \"with\" \\ and \u00e9"));
  EXPECT_EQ(file.metadata(),
            (std::map<std::string, std::string>{{"format", "pt"}, {"note", "a \"quoted\" line\n"}}));
  EXPECT_EQ(summary.bytes, std::filesystem::file_size(directory / "m.safetensors"));
  EXPECT_EQ(summary.header_xxh3, xxh3(file.header()));
}

TEST(SafetensorsWriter, ASmallFileHasAHeaderThatFitsAndAlignedData) {
  for (int length = 1; length < 140; ++length) {
    const TempDirectory directory;
    SafetensorsWriter writer(directory / "m", 1'000'000);
    writer.add(std::string(static_cast<std::size_t>(length), 'n'), DType::kU8, {1}, Bytes(1));
    writer.finish({});
    const SafetensorsFile file(directory / "m");
    EXPECT_EQ(file.header().size() % 64, 0U);
    EXPECT_LT(file.header().size(), static_cast<std::size_t>(length) + 200);
  }
}

TEST(SafetensorsWriter, ALargeFileGoesBehindAReservedHeader) {
  const TempDirectory directory;
  const Bytes piece = random_bytes(1 << 20);
  const auto pieces = static_cast<std::int64_t>(SafetensorsWriter::kHeldBytes / piece.size() + 3);
  SafetensorsWriter writer(directory / "m", SafetensorsWriter::header_bytes_bound("w") + 100);
  writer.begin_tensor("w", DType::kU8, {pieces, 1 << 20});
  for (std::int64_t i = 0; i < pieces; ++i) writer.write(piece);
  writer.end_tensor();
  const auto summary = writer.finish({{"format", "pt"}});
  const SafetensorsFile file(directory / "m");
  EXPECT_EQ(file.header().size() % 64, 0U);
  EXPECT_EQ(summary.header_xxh3, xxh3(file.header()));
  EXPECT_EQ(summary.bytes, std::filesystem::file_size(directory / "m"));
  const auto& bytes = file.tensors().at("w").bytes;
  for (std::int64_t i = 0; i < pieces; ++i) {
    ASSERT_EQ(
        0, std::memcmp(bytes.data() + static_cast<std::size_t>(i) * piece.size(), piece.data(), piece.size()))
        << i;
  }
}

TEST(SafetensorsWriter, AReserveThatIsTooSmallIsAnError) {
  const TempDirectory directory;
  SafetensorsWriter writer(directory / "m", 10);
  writer.add("w", DType::kU8, {-1}, Bytes(SafetensorsWriter::kHeldBytes + 1));
  EXPECT_THAT(error_of([&] {
                writer.finish({{"k", std::string(100, 'v')}});
              }),
              HasSubstr("64 were reserved"));
}

TEST(SafetensorsWriter, TheBoundHoldsForTheLargestEntries) {
  const TempDirectory directory;
  for (const std::string& name :
       {std::string("w"), std::string(500, '"'), std::string(500, '\x01'), std::string("\u00e9")}) {
    SafetensorsWriter writer(directory / std::to_string(xxh3(as_bytes(name))), 0);
    const std::int64_t largest = INT64_MAX;
    writer.add(name, DType::kF8E4M3, {0, largest, largest, largest, largest, largest, largest, largest}, {});
    EXPECT_LE(writer.header_bytes(),
              8 + SafetensorsWriter::header_bytes_bound(name) - 40);  // offsets are short here
  }
}

TEST(SafetensorsWriter, MisuseIsAnError) {
  const TempDirectory directory;
  SafetensorsWriter writer(directory / "m", 1000);
  EXPECT_THAT(error_of([&] { writer.write(Bytes(1)); }), HasSubstr("outside of a tensor"));
  EXPECT_THAT(error_of([&] { writer.end_tensor(); }), HasSubstr("no tensor to end"));
  EXPECT_THAT(error_of([&] { writer.add("a", DType::kF32, {2}, Bytes(7)); }),
              HasSubstr("7 bytes written, but F32 [2]"));
  EXPECT_THAT(error_of([&] { writer.add("b", DType::kF32, {-1}, Bytes(4)); }), HasSubstr("announced"));
  EXPECT_THAT(error_of([&] {
                writer.add("c", DType::kF32, {INT64_MAX, 2}, Bytes(4));
              }),
              HasSubstr("announced"));
  EXPECT_THAT(error_of([&] { writer.add("a", DType::kU8, {0}, {}); }), HasSubstr("used already"));
  EXPECT_THAT(error_of([&] { writer.add("__metadata__", DType::kU8, {0}, {}); }), HasSubstr("reserved"));
  writer.begin_tensor("d", DType::kU8, {0});
  EXPECT_THAT(error_of([&] { writer.begin_tensor("e", DType::kU8, {0}); }), HasSubstr("begun inside"));
  EXPECT_THAT(error_of([&] { writer.finish({}); }), HasSubstr("was not ended"));
  EXPECT_THAT(error_of([&] { SafetensorsWriter again(directory / "m", 0); }), HasSubstr("cannot create"));
}

}  // namespace
}  // namespace twofold
