#include "codec/tableless.h"

#include "base/error.h"

namespace twofold {

namespace {

class TablelessDecoder : public Decoder {
 public:
  explicit TablelessDecoder(const TablelessCodec& codec) : codec_(codec) {}

  void decode(std::span<const std::uint8_t> coded, std::span<std::int8_t> out) const override {
    const std::span bytes{reinterpret_cast<std::uint8_t*>(out.data()), out.size()};
    const bool valid =
        coded.empty() || out.empty() ? coded.empty() && out.empty() : codec_.decompress(coded, bytes);
    if (!valid) {
      fail("{} chunk: {} bytes that are not the encoding of {} weights", codec_.name(), coded.size(),
           out.size());
    }
  }

  const std::int8_t* direct(std::span<const std::uint8_t> coded, std::size_t count) const override {
    return codec_.direct(coded, count);
  }

 private:
  const TablelessCodec& codec_;
};

}  // namespace

void TablelessCodec::encode(std::span<const std::uint8_t>, std::span<const std::int8_t> chunk, std::int64_t,
                            std::vector<std::uint8_t>& out) const {
  if (!chunk.empty()) compress({reinterpret_cast<const std::uint8_t*>(chunk.data()), chunk.size()}, out);
}

std::unique_ptr<Decoder> TablelessCodec::make_decoder(std::span<const std::uint8_t> table, std::int64_t,
                                                      Isa) const {
  if (!table.empty()) fail("{} table: {} bytes, expected none", name(), table.size());
  return std::make_unique<TablelessDecoder>(*this);
}

void TablelessCodec::fail_compress() const {
  fail("{}: the chunk cannot be compressed", name());
}

}  // namespace twofold
