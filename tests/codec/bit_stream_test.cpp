#include "codec/bit_stream.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace twofold {
namespace {

TEST(BitStream, FieldsOfEveryWidthReadBack) {
  Random random(1);
  std::vector<std::uint8_t> bytes{99};
  BitWriter writer(bytes);
  std::vector<std::pair<std::uint32_t, int>> fields;
  for (int i = 0; i < 2000; ++i) {
    const int bits = static_cast<int>(random.below(32));
    const auto value = static_cast<std::uint32_t>(random.next() & ((std::uint64_t{1} << bits) - 1));
    writer.put(value, bits);
    fields.emplace_back(value, bits);
  }
  EXPECT_EQ(bytes[0], 99);
  BitReader reader{std::span(bytes).subspan(1)};
  for (const auto& [value, bits] : fields) ASSERT_EQ(reader.get(bits), value);
  EXPECT_EQ(reader.finish(), bytes.size() - 1);
  EXPECT_TRUE(reader.ok());
}

TEST(BitStream, TheFirstBitIsTheLowestOfAByte) {
  std::vector<std::uint8_t> bytes;
  BitWriter writer(bytes);
  writer.put(1, 1);
  writer.put(0b10, 2);
  EXPECT_EQ(bytes, std::vector<std::uint8_t>{0b101});
}

TEST(BitStream, ReadingPastTheEndGivesZeroAndIsRemembered) {
  const std::vector<std::uint8_t> bytes{0xff};
  BitReader reader(bytes);
  EXPECT_EQ(reader.get(5), 31u);
  EXPECT_EQ(reader.get(4), 0u);
  EXPECT_FALSE(reader.ok());
}

TEST(BitStream, PaddingMustBeZero) {
  const std::vector<std::uint8_t> bytes{0b0001'0111};
  BitReader clean(bytes);
  clean.get(5);
  EXPECT_EQ(clean.finish(), 1u);
  EXPECT_TRUE(clean.ok());
  BitReader dirty(bytes);
  dirty.get(4);
  dirty.finish();
  EXPECT_FALSE(dirty.ok());
}

}  // namespace
}  // namespace twofold
