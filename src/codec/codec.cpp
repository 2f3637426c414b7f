#include "codec/codec.h"

#include <array>
#include <string>

#include "base/error.h"
#include "codec/builtin.h"

namespace twofold {

const std::int8_t* Decoder::direct(std::span<const std::uint8_t>, std::size_t) const {
  return nullptr;
}

std::span<const Codec* const> codecs() {
  static const std::array<const Codec*, 10> all{
      &raw_codec(),  &packed_codec(), &tiered_codec(), &quad_codec(),   &ans_codec(),
      &ans8_codec(), &zstd_codec(),   &lz4_codec(),    &snappy_codec(), &deflate_codec()};
  return all;
}

const Codec& find_codec(std::string_view name) {
  std::string names;
  for (const Codec* codec : codecs()) {
    if (codec->name() == name) return *codec;
    names += names.empty() ? "" : ", ";
    names += codec->name();
  }
  fail("codec '{}': unknown; there are {}", name, names);
}

}  // namespace twofold
