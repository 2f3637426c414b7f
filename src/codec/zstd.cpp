// The `zstd` codec: a Zstandard frame (RFC 8878) per chunk, without content size and checksum, which the
// container stores.

#include <zstd.h>

#include <memory>

#include "codec/builtin.h"
#include "codec/tableless.h"

namespace twofold {

namespace {

// Weights hardly repeat, so the Huffman coding of single bytes does the work, and level 1 keeps most bytes
// for it: on plain INT8 weights no level up to 19 is smaller.
constexpr int kLevel = 1;

struct FreeContext {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

class ZstdCodec : public TablelessCodec {
 public:
  std::string_view name() const override { return "zstd"; }

  void compress(std::span<const std::uint8_t> bytes, std::vector<std::uint8_t>& out) const override {
    const std::unique_ptr<ZSTD_CCtx, FreeContext> context(ZSTD_createCCtx());
    if (context == nullptr) fail_compress();
    ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, kLevel);
    ZSTD_CCtx_setParameter(context.get(), ZSTD_c_contentSizeFlag, 0);
    const std::size_t begin = out.size();
    out.resize(begin + ZSTD_compressBound(bytes.size()));
    const std::size_t size =
        ZSTD_compress2(context.get(), out.data() + begin, out.size() - begin, bytes.data(), bytes.size());
    if (ZSTD_isError(size) != 0) fail_compress();
    out.resize(begin + size);
  }

  bool decompress(std::span<const std::uint8_t> coded, std::span<std::uint8_t> out) const override {
    thread_local const std::unique_ptr<ZSTD_DCtx, FreeContext> context(ZSTD_createDCtx());
    if (context == nullptr) return false;
    return ZSTD_decompressDCtx(context.get(), out.data(), out.size(), coded.data(), coded.size()) ==
           out.size();
  }
};

}  // namespace

const Codec& zstd_codec() {
  static const ZstdCodec codec;
  return codec;
}

}  // namespace twofold
