#include "tensor/safetensors.h"

#include <cstring>
#include <vector>

#include "expect_error.h"
#include "support/temp_directory.h"

namespace twofold {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Bytes = std::vector<std::uint8_t>;

/// A file of this header and `data` zeros; the length field is right unless given.
Bytes file_of(const std::string& header, std::size_t data, std::uint64_t length = UINT64_MAX) {
  if (length == UINT64_MAX) length = header.size();
  Bytes file(8 + header.size() + data);
  std::memcpy(file.data(), &length, 8);
  std::memcpy(file.data() + 8, header.data(), header.size());
  return file;
}

struct Parsed {
  std::map<std::string, TensorView> tensors;
  std::map<std::string, std::string> metadata;
  std::span<const std::uint8_t> header;
};

Parsed parse(const Bytes& file) {
  Parsed parsed;
  parse_safetensors(file, "m.safetensors", parsed.tensors, parsed.metadata, parsed.header);
  return parsed;
}

std::string tensor(const std::string& fields) {
  return "{\"w\":{" + fields + "}}";
}

TEST(Safetensors, ReadsTensorsMetadataAndHeader) {
  const std::string header =
      R"({"b":{"dtype":"BF16","shape":[2,3],"data_offsets":[4,16]},"__metadata__":{"format":"pt"},)"
      R"("s":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"e":{"dtype":"I8","shape":[0,7],"data_offsets":[16,16]}}   )";
  const Bytes file = file_of(header, 16);
  const Parsed parsed = parse(file);
  ASSERT_EQ(parsed.tensors.size(), 3U);
  const TensorView& b = parsed.tensors.at("b");
  EXPECT_EQ(b.name, "b");
  EXPECT_EQ(b.dtype, DType::kBF16);
  EXPECT_EQ(b.shape, (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(b.elements(), 6);
  EXPECT_EQ(b.bytes.data(), file.data() + 8 + header.size() + 4);
  EXPECT_EQ(b.bytes.size(), 12U);
  EXPECT_EQ(parsed.tensors.at("s").elements(), 1);
  EXPECT_EQ(parsed.tensors.at("e").elements(), 0);
  EXPECT_EQ(parsed.metadata.at("format"), "pt");
  EXPECT_EQ(parsed.header.size(), 8 + header.size());
}

TEST(Safetensors, AFileWithoutTensorsIsValid) {
  EXPECT_TRUE(parse(file_of("{}", 0)).tensors.empty());
  EXPECT_THAT(error_of([] { parse(file_of("{}", 1)); }), HasSubstr("the tensors end at byte 0"));
}

TEST(Safetensors, WrongLengthsAreErrors) {
  for (std::size_t size = 0; size < 8; ++size) {
    EXPECT_THAT(error_of([&] { parse(Bytes(size)); }), HasSubstr("m.safetensors: file has"));
  }
  EXPECT_THAT(error_of([] { parse(file_of("{}", 0, 3)); }), HasSubstr("header length 3"));
  EXPECT_THAT(error_of([] { parse(file_of("{}", 0, 100'000'001)); }), HasSubstr("at most 100000000"));
  EXPECT_THAT(error_of([] { parse(file_of("{}", 0, UINT64_MAX - 7)); }), HasSubstr("header length"));
  EXPECT_THAT(error_of([] { parse(file_of("", 0)); }), HasSubstr("does not begin with"));
  EXPECT_THAT(error_of([] { parse(file_of(" {}", 0)); }), HasSubstr("does not begin with"));
  EXPECT_THAT(error_of([] { parse(file_of("{}x", 0)); }), HasSubstr("not valid JSON"));
}

TEST(Safetensors, HostileHeadersAreErrorsThatNameTheField) {
  const std::string valid = R"("dtype":"F32","shape":[2],"data_offsets":[0,8])";
  ASSERT_NO_THROW(parse(file_of(tensor(valid), 8)));
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"("shape":[2],"data_offsets":[0,8])", "missing field \"dtype\""},
      {R"("dtype":"F32","data_offsets":[0,8])", "missing field \"shape\""},
      {R"("dtype":"F32","shape":[2])", "missing field \"data_offsets\""},
      {R"("dtype":"F33","shape":[2],"data_offsets":[0,8])", "\"dtype\": unknown type \"F33\""},
      {R"("dtype":4,"shape":[2],"data_offsets":[0,8])", "\"dtype\": expected a string"},
      {R"("dtype":"F32","shape":2,"data_offsets":[0,8])", "\"shape\": expected an array"},
      {R"("dtype":"F32","shape":[-2],"data_offsets":[0,8])", "\"shape\": expected integers"},
      {R"("dtype":"F32","shape":[2.0],"data_offsets":[0,8])", "\"shape\": expected integers"},
      {R"("dtype":"F32","shape":["2"],"data_offsets":[0,8])", "\"shape\": expected integers"},
      {R"("dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,8])", "\"shape\": expected integers"},
      {R"("dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0])",
       "\"shape\": the number of bytes overflows"},
      {R"("dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0])",
       "\"shape\": the number of bytes overflows"},
      {R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0])", "overflows"},
      {R"("dtype":"F32","shape":[3],"data_offsets":[0,8])", "\"data_offsets\": 8 bytes, expected 12"},
      {R"("dtype":"F32","shape":[],"data_offsets":[0,8])", "\"data_offsets\": 8 bytes, expected 4"},
      {R"("dtype":"F32","shape":[2],"data_offsets":[8,0])", "\"data_offsets\": begin 8 is after end 0"},
      {R"("dtype":"F32","shape":[2],"data_offsets":[0])", "\"data_offsets\": 1 numbers, expected 2"},
      {R"("dtype":"F32","shape":[2],"data_offsets":[0,8,8])", "\"data_offsets\": 3 numbers, expected 2"},
      {R"("dtype":"F32","shape":[2],"data_offsets":[0,8.5])", "\"data_offsets\": expected integers"},
      {R"("dtype":"F32","shape":[2],"data_offsets":[-1,7])", "\"data_offsets\": expected integers"},
      {R"("dtype":"F32","shape":[2],"data_offsets":[9223372036854775800,9223372036854775808])",
       "expected integers"},
      {R"("dtype":"F32","shape":[3],"data_offsets":[0,12])",
       "\"data_offsets\": ends at 12, but the data has 8"},
      {R"("dtype":"F32","shape":[1],"data_offsets":[4,8])", "begins at 4, expected 0"},
      {R"("dtype":"F32","shape":[1],"data_offsets":[0,4])",
       "the tensors end at byte 4 of the data, which has 8"},
      {R"("dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8])", "\"dtype\" appears twice"},
  };
  for (const auto& [fields, message] : cases) {
    EXPECT_THAT(error_of([&fields = fields] { parse(file_of(tensor(fields), 8)); }),
                AllOf(HasSubstr("m.safetensors: "), HasSubstr(message)))
        << fields;
  }
  std::string many = "1";
  for (int i = 0; i < 40; ++i) many += ",1";
  EXPECT_THAT(
      error_of([&] {
        parse(file_of(tensor("\"dtype\":\"F32\",\"shape\":[" + many + "],\"data_offsets\":[0,4]"), 4));
      }),
      HasSubstr("41 dimensions"));
}

TEST(Safetensors, HostileStructuresAreErrors) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({"w":[]})", "tensor \"w\": expected an object"},
      {R"({"w":null})", "tensor \"w\": expected an object"},
      {R"({"__metadata__":[]})", "\"__metadata__\": expected an object"},
      {R"({"__metadata__":{"a":1}})", "\"__metadata__\": \"a\": expected a string"},
      {R"({"__metadata__":{},"__metadata__":{}})", "\"__metadata__\" appears twice"},
      {R"({"w":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"w":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})",
       "\"w\" appears twice"},
      {R"({"":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})", "not a usable name"},
      {R"({"a\nb":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})", "tensor \"a\\nb\": not a usable name"},
      {R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})",
       "tensor \"b\": \"data_offsets\": begins at 2, expected 3"},
      {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[1],"data_offsets":[3,4]}})",
       "tensor \"b\": \"data_offsets\": begins at 3, expected 2"},
      {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[0],"data_offsets":[2,2]}})",
       "begins at 2, expected 4"},
  };
  for (const auto& [header, message] : cases) {
    EXPECT_THAT(error_of([&header = header] { parse(file_of(header, 4)); }),
                AllOf(HasSubstr("m.safetensors: "), HasSubstr(message)))
        << header;
  }
}

TEST(Safetensors, EveryTruncationIsAnError) {
  const Bytes file = file_of(tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,8])"), 8);
  for (std::size_t size = 0; size < file.size(); ++size) {
    EXPECT_THROW(parse(Bytes(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size))), Error) << size;
  }
}

TEST(SafetensorsFile, ErrorsNameThePath) {
  const TempDirectory directory;
  write_file(directory / "empty.safetensors", "");
  EXPECT_THAT(error_of([&] { SafetensorsFile file(directory / "empty.safetensors"); }),
              HasSubstr("empty.safetensors: file has 0 bytes"));
}

}  // namespace
}  // namespace twofold
