#include "tensor/gguf_blocks.h"

#include <vector>

#include "expect_error.h"
#include "tensor/safetensors.h"

namespace twofold {
namespace {

using ::testing::HasSubstr;

constexpr DType kBlockTypes[] = {DType::kQ40, DType::kQ41, DType::kQ50, DType::kQ51, DType::kQ80,
                                 DType::kQ2K, DType::kQ3K, DType::kQ4K, DType::kQ5K, DType::kQ6K};

TEST(GgufBlocks, ValuesAreThoseOfTheReference) {
  const SafetensorsFile file(std::string(TWOFOLD_SOURCE_DIR) + "/tests/tensor/data/gguf_blocks.safetensors");
  for (const DType dtype : kBlockTypes) {
    const std::string name(dtype_name(dtype));
    const TensorView& values = file.tensors().at(name + ".values");
    std::vector<float> expected(static_cast<std::size_t>(values.elements()));
    to_float(values.dtype, values.bytes, expected);
    std::vector<float> found(expected.size());
    gguf_blocks_to_float(dtype, file.tensors().at(name + ".bytes").bytes, found);
    for (std::size_t i = 0; i < found.size(); ++i) {
      // Compilers may fuse the product and the sum.
      ASSERT_NEAR(found[i], expected[i], 1e-5F * (1 + std::abs(expected[i]))) << name << " element " << i;
    }
  }
}

TEST(GgufBlocks, OnlyBlockTypesAreBlocks) {
  for (const DType dtype : kBlockTypes) {
    EXPECT_TRUE(is_gguf_block(dtype));
    EXPECT_GT(dtype_block(dtype), 1U);
    DType parsed = DType::kF32;
    EXPECT_FALSE(parse_dtype(dtype_name(dtype), parsed)) << "safetensors files have no blocks";
  }
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16, DType::kI8}) {
    EXPECT_FALSE(is_gguf_block(dtype));
    EXPECT_EQ(dtype_block(dtype), 1U);
  }
}

TEST(GgufBlocks, WrongSizesAndTypesAreErrors) {
  const std::vector<std::uint8_t> bytes(34);
  std::vector<float> out(32);
  const auto convert = [&](DType dtype, std::size_t size, std::size_t count) {
    return error_of(
        [&] { gguf_blocks_to_float(dtype, std::span(bytes).first(size), std::span(out).first(count)); });
  };
  EXPECT_THAT(convert(DType::kQ80, 33, 32), HasSubstr("cannot convert 33 bytes of Q8_0 to 32 floats"));
  EXPECT_THAT(convert(DType::kQ80, 34, 31), HasSubstr("to 31 floats"));
  EXPECT_THAT(convert(DType::kQ80, 0, 32), HasSubstr("cannot convert 0 bytes"));
  EXPECT_THAT(convert(DType::kF32, 4, 1), HasSubstr("expected a block type"));
}

}  // namespace
}  // namespace twofold
