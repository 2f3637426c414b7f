#include "tensor/gguf.h"

#include <array>
#include <functional>
#include <limits>

#include "expect_error.h"
#include "support/gguf_builder.h"
#include "support/temp_directory.h"

namespace twofold {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Bytes = std::vector<std::uint8_t>;

std::string refusal(const Bytes& file) {
  return error_of([&] { GgufFile gguf(file, "m.gguf"); });
}

Bytes zeros(std::size_t count) {
  return Bytes(count);
}

TEST(Gguf, ReadsMetadataOfEveryType) {
  const Bytes file = GgufBuilder()
                         .scalar<std::uint8_t>("u8", GgufType::kUint8, 200)
                         .scalar<std::int8_t>("i8", GgufType::kInt8, -3)
                         .scalar<std::uint16_t>("u16", GgufType::kUint16, 60000)
                         .scalar<std::int16_t>("i16", GgufType::kInt16, -300)
                         .uint32("u32", 4000000000)
                         .scalar<std::int32_t>("i32", GgufType::kInt32, -70000)
                         .scalar<std::uint64_t>("u64", GgufType::kUint64, 1ULL << 40)
                         .scalar<std::int64_t>("i64", GgufType::kInt64, -(1LL << 40))
                         .float32("f32", 0.5F)
                         .scalar<double>("f64", GgufType::kFloat64, 0.25)
                         .boolean("yes", true)
                         .string("text", "a \xff")
                         .strings("words", {"x", "", "long"})
                         .array<std::int32_t>("types", GgufType::kInt32, {1, -2})
                         .array<float>("scores", GgufType::kFloat32, {1.5F, -2.0F})
                         .array<std::uint8_t>("none", GgufType::kUint8, {})
                         .build();
  const GgufFile gguf(file, "m.gguf");
  const auto integer = [&](const char* key) { return gguf.integer(key, INT64_MIN, INT64_MAX); };
  EXPECT_EQ(integer("u8"), 200);
  EXPECT_EQ(integer("i8"), -3);
  EXPECT_EQ(integer("u16"), 60000);
  EXPECT_EQ(integer("i16"), -300);
  EXPECT_EQ(integer("u32"), 4000000000);
  EXPECT_EQ(integer("i32"), -70000);
  EXPECT_EQ(integer("u64"), 1LL << 40);
  EXPECT_EQ(integer("i64"), -(1LL << 40));
  EXPECT_EQ(gguf.number("f32", 0, 1), 0.5);
  EXPECT_EQ(gguf.number("f64", 0, 1), 0.25);
  EXPECT_EQ(gguf.number("i8", -10, 10), -3);
  EXPECT_TRUE(gguf.boolean("yes"));
  EXPECT_EQ(gguf.string("text"), "a \xff");
  EXPECT_THAT(gguf.strings("words"), ElementsAre("x", "", "long"));
  EXPECT_THAT(gguf.integers("types"), ElementsAre(1, -2));
  EXPECT_THAT(gguf.numbers("scores"), ElementsAre(1.5F, -2.0F));
  EXPECT_THAT(gguf.integers("none"), ElementsAre());
  EXPECT_EQ(gguf.integer("missing", 0, 9, 7), 7);
  EXPECT_EQ(gguf.string("missing", "no"), "no");
  EXPECT_FALSE(gguf.boolean("missing", false));
  EXPECT_TRUE(gguf.has("words"));
  EXPECT_FALSE(gguf.has("missing"));
}

TEST(Gguf, ErrorsOfTypedAccessNameKeyExpectedAndFound) {
  const Bytes file = GgufBuilder()
                         .uint32("n", 5)
                         .string("s", "x")
                         .strings("ss", {"x"})
                         .float32("nan", std::numeric_limits<float>::quiet_NaN())
                         .scalar<std::uint64_t>("big", GgufType::kUint64, UINT64_MAX)
                         .build();
  const GgufFile gguf(file, "m.gguf");
  EXPECT_EQ(error_of([&] { gguf.string("q"); }), "m.gguf: no key \"q\"");
  EXPECT_EQ(error_of([&] { gguf.string("n"); }), "m.gguf: \"n\": expected a string, found uint32");
  EXPECT_EQ(error_of([&] { gguf.integer("n", 6, 9); }), "m.gguf: \"n\": expected 6 to 9, found 5");
  EXPECT_EQ(error_of([&] { gguf.integer("s", 6, 9, 6); }),
            "m.gguf: \"s\": expected an integer, found string");
  EXPECT_THAT(error_of([&] { gguf.integer("big", 0, INT64_MAX); }), HasSubstr("above 2^63"));
  EXPECT_THAT(error_of([&] { gguf.number("nan", 0, 1); }), HasSubstr("expected 0 to 1, found nan"));
  EXPECT_THAT(error_of([&] { gguf.number("s", 0, 1); }), HasSubstr("expected a number, found string"));
  EXPECT_THAT(error_of([&] { gguf.boolean("n"); }), HasSubstr("expected a bool, found uint32"));
  EXPECT_THAT(error_of([&] { gguf.string("ss"); }), HasSubstr("expected a string, found an array of string"));
  EXPECT_THAT(error_of([&] { gguf.strings("s"); }), HasSubstr("expected an array of strings, found string"));
  EXPECT_THAT(error_of([&] { gguf.integers("ss"); }), HasSubstr("found an array of string"));
  EXPECT_THAT(error_of([&] { gguf.numbers("ss"); }), HasSubstr("found an array of string"));
}

TEST(Gguf, ReadsTensorsWithTheOutermostDimensionFirst) {
  for (const std::uint32_t version : {2U, 3U}) {
    GgufBuilder builder;
    builder.version = version;
    Bytes floats(24);
    floats[4] = 7;
    const Bytes file = builder.tensor("a", {2, 3}, 0, floats).tensor("q", {4, 64}, 8, zeros(8 * 34)).build();
    const GgufFile gguf(file, "m.gguf");
    ASSERT_EQ(gguf.tensors().size(), 2U);
    const TensorView& a = gguf.tensors().at("a");
    EXPECT_EQ(a.dtype, DType::kF32);
    EXPECT_THAT(a.shape, ElementsAre(2, 3));
    EXPECT_EQ(a.bytes.size(), 24U);
    EXPECT_EQ(a.bytes[4], 7);
    EXPECT_EQ(a.file, "m.gguf");
    const TensorView& q = gguf.tensors().at("q");
    EXPECT_EQ(q.dtype, DType::kQ80);
    EXPECT_EQ(q.bytes.data() + q.bytes.size(), file.data() + file.size());
  }
}

TEST(Gguf, AlignmentIsThatOfTheFile) {
  GgufBuilder builder;
  builder.alignment = 128;
  builder.uint32("general.alignment", 128);
  const Bytes file = builder.tensor("a", {1}, 0, zeros(4)).tensor("b", {1}, 0, zeros(4)).build();
  const GgufFile gguf(file, "m.gguf");
  EXPECT_EQ(gguf.tensors().at("b").bytes.data() - gguf.tensors().at("a").bytes.data(), 128);
}

TEST(Gguf, TheMetadataMakesAFileOfItsOwn) {
  const Bytes file = GgufBuilder().string("k", "v").uint32("n", 3).tensor("a", {1}, 0, zeros(4)).build();
  const std::string text = GgufFile(file, "m.gguf").without_tensors();
  const GgufFile copy(as_bytes(text), "copy.gguf");
  EXPECT_EQ(copy.string("k"), "v");
  EXPECT_EQ(copy.metadata().size(), 2U);
  EXPECT_TRUE(copy.tensors().empty());
}

TEST(Gguf, HostileHeadersAreErrors) {
  const std::vector<std::pair<std::string, std::function<void(GgufBuilder&)>>> cases = {
      {"version: expected 2 or 3, found 1", [](GgufBuilder& b) { b.version = 1; }},
      {"big-endian", [](GgufBuilder& b) { b.version = 0x03000000; }},
      {"key 1: expected 8 bytes at byte 38, but the file ends after 38",
       [](GgufBuilder& b) { b.boolean("k", true).pair_count = UINT64_MAX; }},
      {"tensor 0: expected 8 bytes", [](GgufBuilder& b) { b.tensor_count = UINT64_MAX; }},
      {"\"k\" appears twice", [](GgufBuilder& b) { b.uint32("k", 1).uint32("k", 1); }},
      {"key 0: expected a name of 1 to 65535 bytes", [](GgufBuilder& b) { b.uint32("", 1); }},
      {"found \"a\\n\"", [](GgufBuilder& b) { b.uint32("a\n", 1); }},
      {"\"k\": value type: expected at most 12, found 13",
       [](GgufBuilder& b) { b.scalar("k", static_cast<GgufType>(13), 0); }},
      {"\"k\": expected a bool of 0 or 1, found 2",
       [](GgufBuilder& b) { b.scalar("k", GgufType::kBool, std::uint8_t{2}); }},
      {"an array of arrays", [](GgufBuilder& b) { b.array<int>("k", GgufType::kArray, {}); }},
      {"\"k\": an array of 1152921504606846976 string values does not fit",
       [](GgufBuilder& b) {
         b.scalar("k", GgufType::kArray, std::array<std::uint32_t, 3>{8, 0, 1U << 28});
       }},
      {"\"k\": expected 18446744073709551615 bytes",
       [](GgufBuilder& b) { b.scalar("k", GgufType::kString, UINT64_MAX); }},
      {"\"general.alignment\": expected a power of two, found 24",
       [](GgufBuilder& b) { b.uint32("general.alignment", 24).tensor("w", {1}, 0, zeros(4)); }},
      {"\"general.alignment\": expected 1 to",
       [](GgufBuilder& b) { b.uint32("general.alignment", 0).tensor("w", {1}, 0, zeros(4)); }},
      {"tensor \"w\": shape: expected 1 to 4 dimensions, found 5",
       [](GgufBuilder& b) {
         b.tensor("w", {1, 1, 1, 1, 1}, 0, zeros(4));
       }},
      {"tensor \"w\": shape: expected 1 to 4 dimensions, found 0",
       [](GgufBuilder& b) { b.tensor("w", {}, 0, zeros(4)); }},
      {"dimensions of at least 1, found 0", [](GgufBuilder& b) { b.tensor("w", {0}, 0, zeros(4)); }},
      {"the number of bytes overflows", [](GgufBuilder& b) { b.tensor("w", {-1}, 0, zeros(4)); }},
      {"the number of bytes overflows",
       [](GgufBuilder& b) {
         b.tensor("w", {1LL << 31, 1LL << 31, 4}, 0, zeros(4));
       }},
      {"expected one of F32, F16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, BF16, found "
       "IQ4_XS (23)",
       [](GgufBuilder& b) { b.tensor("w", {256}, 23, zeros(136)); }},
      {"found unknown (99)", [](GgufBuilder& b) { b.tensor("w", {1}, 99, zeros(4)); }},
      {"expected rows of a multiple of 32 elements for Q8_0, found 33",
       [](GgufBuilder& b) { b.tensor("w", {33}, 8, zeros(68)); }},
      {"tensor \"w\": expected 8 bytes from 0 of the data, which has 4",
       [](GgufBuilder& b) { b.tensor("w", {2}, 0, zeros(4)); }},
      {"expected 4 bytes from 18446744073709551584",
       [](GgufBuilder& b) { b.tensor_info("w", {1}, 0, UINT64_MAX - 31); }},
      {"tensor \"w\": offset: expected a multiple of 32, found 8",
       [](GgufBuilder& b) { b.tensor_info("w", {1}, 0, 8).tensor("v", {64}, 0, zeros(256)); }},
      {"offset: expected at least 128, the end of tensor \"v\", found 96",
       [](GgufBuilder& b) { b.tensor("v", {32}, 0, zeros(128)).tensor_info("w", {1}, 0, 96); }},
      {"tensor \"w\" appears twice",
       [](GgufBuilder& b) { b.tensor("w", {8}, 0, zeros(32)).tensor("w", {8}, 0, zeros(32)); }},
      {"tensor 0: expected a name of 1 to 64 bytes", [](GgufBuilder& b) { b.tensor("", {1}, 0, zeros(4)); }},
  };
  for (const auto& [message, damage] : cases) {
    GgufBuilder builder;
    damage(builder);
    EXPECT_THAT(refusal(builder.build()), AllOf(HasSubstr("m.gguf: "), HasSubstr(message)));
  }
}

TEST(Gguf, EveryTruncationIsAnError) {
  const Bytes file = GgufBuilder()
                         .uint32("n", 1)
                         .strings("s", {"ab", "c"})
                         .array<float>("f", GgufType::kFloat32, {1, 2})
                         .tensor("w", {2, 32}, 8, zeros(68))
                         .build();
  ASSERT_NO_THROW(GgufFile(file, "m.gguf"));
  for (std::size_t size = 0; size < file.size(); ++size) {
    const Bytes part(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_THROW(GgufFile(part, "m.gguf"), Error) << size;
  }
}

TEST(Gguf, ReadsAMappedFile) {
  const TempDirectory directory;
  const Bytes file = GgufBuilder().string("k", "v").tensor("a", {1}, 0, zeros(4)).build();
  write_file(directory / "m.gguf", {reinterpret_cast<const char*>(file.data()), file.size()});
  const GgufFile gguf(directory / "m.gguf");
  EXPECT_EQ(gguf.string("k"), "v");
  EXPECT_EQ(gguf.bytes(), file.size());
  gguf.release(gguf.tensors().at("a"));
  write_file(directory / "x.gguf", "GGML");
  EXPECT_THAT(error_of([&] { GgufFile other(directory / "x.gguf"); }), HasSubstr("x.gguf: not a GGUF file"));
}

}  // namespace
}  // namespace twofold
