// The `lz4` codec: an LZ4 block per chunk. It has no entropy coding, so weights shrink only where bytes
// repeat (pruned tensors); it is here for comparison, at its fast level (the slow ones reach a ratio of 1.07
// instead of 1.00 on plain INT8 weights).

#include <lz4.h>

#include "codec/builtin.h"
#include "codec/tableless.h"

namespace twofold {

namespace {

class Lz4Codec : public TablelessCodec {
 public:
  std::string_view name() const override { return "lz4"; }

  void compress(std::span<const std::uint8_t> bytes, std::vector<std::uint8_t>& out) const override {
    if (bytes.size() > LZ4_MAX_INPUT_SIZE) fail_compress();
    const std::size_t begin = out.size();
    const int size = static_cast<int>(bytes.size());
    const int bound = LZ4_compressBound(size);
    out.resize(begin + static_cast<std::size_t>(bound));
    const int used = LZ4_compress_default(reinterpret_cast<const char*>(bytes.data()),
                                          reinterpret_cast<char*>(out.data() + begin), size, bound);
    if (used <= 0) fail_compress();
    out.resize(begin + static_cast<std::size_t>(used));
  }

  bool decompress(std::span<const std::uint8_t> coded, std::span<std::uint8_t> out) const override {
    if (out.size() > LZ4_MAX_INPUT_SIZE ||
        coded.size() > static_cast<std::size_t>(LZ4_COMPRESSBOUND(LZ4_MAX_INPUT_SIZE)))
      return false;
    const int size =
        LZ4_decompress_safe(reinterpret_cast<const char*>(coded.data()), reinterpret_cast<char*>(out.data()),
                            static_cast<int>(coded.size()), static_cast<int>(out.size()));
    return size >= 0 && static_cast<std::size_t>(size) == out.size();
  }
};

}  // namespace

const Codec& lz4_codec() {
  static const Lz4Codec codec;
  return codec;
}

}  // namespace twofold
