// The `snappy` codec: a Snappy block per chunk, which begins with the number of weights. Like LZ4 it has no
// entropy coding and is here for comparison.

#include <snappy.h>

#include <limits>

#include "codec/builtin.h"
#include "codec/tableless.h"

namespace twofold {

namespace {

class SnappyCodec : public TablelessCodec {
 public:
  std::string_view name() const override { return "snappy"; }

  void compress(std::span<const std::uint8_t> bytes, std::vector<std::uint8_t>& out) const override {
    if (bytes.size() > std::numeric_limits<std::uint32_t>::max()) fail_compress();
    const std::size_t begin = out.size();
    out.resize(begin + snappy::MaxCompressedLength(bytes.size()));
    std::size_t size = 0;
    snappy::RawCompress(reinterpret_cast<const char*>(bytes.data()), bytes.size(),
                        reinterpret_cast<char*>(out.data() + begin), &size);
    out.resize(begin + size);
  }

  bool decompress(std::span<const std::uint8_t> coded, std::span<std::uint8_t> out) const override {
    const auto* bytes = reinterpret_cast<const char*>(coded.data());
    std::size_t size = 0;
    return snappy::GetUncompressedLength(bytes, coded.size(), &size) && size == out.size() &&
           snappy::RawUncompress(bytes, coded.size(), reinterpret_cast<char*>(out.data()));
  }
};

}  // namespace

const Codec& snappy_codec() {
  static const SnappyCodec codec;
  return codec;
}

}  // namespace twofold
