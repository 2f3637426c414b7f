// The `raw` codec: the weights as they are.

#include <algorithm>

#include "codec/builtin.h"
#include "codec/tableless.h"

namespace twofold {

namespace {

class RawCodec : public TablelessCodec {
 public:
  std::string_view name() const override { return "raw"; }

  void compress(std::span<const std::uint8_t> bytes, std::vector<std::uint8_t>& out) const override {
    out.insert(out.end(), bytes.begin(), bytes.end());
  }

  bool decompress(std::span<const std::uint8_t> coded, std::span<std::uint8_t> out) const override {
    if (coded.size() != out.size()) return false;
    std::copy(coded.begin(), coded.end(), out.begin());
    return true;
  }

  const std::int8_t* direct(std::span<const std::uint8_t> coded, std::size_t count) const override {
    return coded.size() == count ? reinterpret_cast<const std::int8_t*>(coded.data()) : nullptr;
  }
};

}  // namespace

const Codec& raw_codec() {
  static const RawCodec codec;
  return codec;
}

}  // namespace twofold
