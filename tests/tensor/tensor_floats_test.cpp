#include "tensor/tensor_floats.h"

#include <cstring>
#include <vector>

#include "expect_error.h"

namespace twofold {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A view of `bytes`, which must outlive it.
TensorView view_of(DType dtype, std::vector<std::int64_t> shape, std::span<const std::uint8_t> bytes) {
  TensorView tensor;
  tensor.name = "w";
  tensor.dtype = dtype;
  tensor.shape = std::move(shape);
  tensor.bytes = bytes;
  tensor.file = "m";
  return tensor;
}

std::vector<std::uint8_t> bytes_of(const std::vector<float>& values) {
  std::vector<std::uint8_t> bytes(4 * values.size());
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

std::vector<float> read(const TensorView& tensor, std::uint64_t begin, std::size_t count) {
  std::vector<float> out(count);
  read_floats(tensor, begin, out);
  return out;
}

TEST(TensorFloats, PlainTensorsAreReadAsStored) {
  const auto bytes = bytes_of({1, 2, 3, 4});
  const TensorView tensor = view_of(DType::kF32, {2, 2}, bytes);
  EXPECT_TRUE(stored_plainly(tensor));
  EXPECT_THAT(read(tensor, 1, 2), ElementsAre(2, 3));
}

TEST(TensorFloats, PairedRowsComeBackAsHalvesOfEachHead) {
  // Two heads of four rows; the model's rows 0 1 2 3 are stored as 0 2 1 3.
  const auto bytes = bytes_of({0, 0, 2, 20, 1, 10, 3, 30, 4, 40, 6, 60, 5, 50, 7, 70});
  TensorView tensor = view_of(DType::kF32, {8, 2}, bytes);
  tensor.paired_rows = 4;
  EXPECT_FALSE(stored_plainly(tensor));
  EXPECT_THAT(read(tensor, 0, 16), ElementsAre(0, 0, 1, 10, 2, 20, 3, 30, 4, 40, 5, 50, 6, 60, 7, 70));
  EXPECT_THAT(read(tensor, 3, 4), ElementsAre(10, 2, 20, 3)) << "parts of rows";
  tensor.shape = {16};  // a bias has rows of one element
  EXPECT_THAT(read(tensor, 0, 4), ElementsAre(0, 2, 0, 20));
}

TEST(TensorFloats, TheOffsetIsAdded) {
  const auto bytes = bytes_of({1, 2});
  TensorView tensor = view_of(DType::kF32, {2}, bytes);
  tensor.offset = -1;
  EXPECT_FALSE(stored_plainly(tensor));
  EXPECT_THAT(read(tensor, 0, 2), ElementsAre(0, 1));
}

TEST(TensorFloats, BlocksAreReadByRows) {
  std::vector<std::uint8_t> bytes(4 * 34);
  for (std::size_t row = 0; row < 4; ++row) {
    bytes[34 * row + 1] = 0x3c;  // a step of 1
    bytes[34 * row + 2] = static_cast<std::uint8_t>(row);
  }
  TensorView tensor = view_of(DType::kQ80, {4, 32}, bytes);
  EXPECT_TRUE(is_weight(tensor));
  EXPECT_FALSE(stored_plainly(tensor));
  EXPECT_EQ(read(tensor, 64, 32)[0], 2);
  tensor.paired_rows = 4;
  EXPECT_EQ(read(tensor, 64, 32)[0], 1);
}

TEST(TensorFloats, APlainCopyIsInTheOrderOfTheModel) {
  std::vector<std::uint8_t> storage;
  const auto bytes = bytes_of({0, 2, 1, 3});
  TensorView rows = view_of(DType::kF32, {4, 1}, bytes);
  EXPECT_EQ(plain_copy(rows, storage).bytes.data(), bytes.data()) << "nothing to change";
  rows.paired_rows = 4;
  const TensorView copy = plain_copy(rows, storage);
  EXPECT_EQ(copy.dtype, DType::kF32);
  EXPECT_TRUE(stored_plainly(copy));
  EXPECT_THAT(read(copy, 0, 4), ElementsAre(0, 1, 2, 3));

  std::vector<std::uint8_t> blocks(34);
  blocks[1] = 0x3c;  // a step of 1
  blocks[2] = 100;
  const TensorView halves = plain_copy(view_of(DType::kQ80, {1, 32}, blocks), storage);
  EXPECT_EQ(halves.dtype, DType::kF16);
  EXPECT_EQ(read(halves, 0, 32)[0], 100);
  blocks[1] = 0x7b;  // of 57344: 100 of them are no half
  EXPECT_EQ(plain_copy(view_of(DType::kQ80, {1, 32}, blocks), storage).dtype, DType::kF32);
  EXPECT_EQ(plain_copy(view_of(DType::kQ80, {32}, blocks), storage).dtype, DType::kF32);
}

TEST(TensorFloats, OtherTypesAndRangesAreErrors) {
  const std::vector<std::uint8_t> bytes(68);
  const TensorView blocks = view_of(DType::kQ80, {2, 32}, bytes);
  EXPECT_THAT(error_of([&] { read(blocks, 16, 32); }),
              HasSubstr("m: tensor \"w\": cannot read 32 elements from 16 of 64"));
  EXPECT_THAT(error_of([&] { read(blocks, 32, 64); }), HasSubstr("cannot read"));
  EXPECT_THAT(error_of([&] { read(blocks, UINT64_MAX - 31, 32); }), HasSubstr("cannot read"));
  const TensorView integers = view_of(DType::kI8, {68}, bytes);
  EXPECT_FALSE(is_weight(integers));
  EXPECT_THAT(error_of([&] { read(integers, 0, 68); }),
              HasSubstr("expected floats or blocks of them, found I8"));
}

}  // namespace
}  // namespace twofold
