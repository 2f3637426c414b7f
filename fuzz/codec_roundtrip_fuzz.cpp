// Any weights come back from any codec, on every instruction set, in chunks of any size.

#include "codec_fuzz_input.h"

using namespace twofold;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const Codec& codec = fuzz::pick_codec(input);
  const std::size_t cols = 1 + input.byte();
  const std::size_t rows = 1 + input.byte();
  const std::vector<std::int8_t> weights = fuzz::draw_weights(input, cols);
  const std::vector<std::uint8_t> table = codec.make_table(weights, static_cast<std::int64_t>(cols));
  // Few chunks, to be fast.
  const std::size_t chunk = std::max(rows, weights.size() / cols / 8) * cols;
  for (std::size_t begin = 0; begin < weights.size(); begin += chunk) {
    const std::size_t count = std::min(chunk, weights.size() - begin);
    const std::vector<std::int8_t> part(weights.begin() + static_cast<std::ptrdiff_t>(begin),
                                        weights.begin() + static_cast<std::ptrdiff_t>(begin + count));
    std::vector<std::uint8_t> coded;
    codec.encode(table, part, static_cast<std::int64_t>(cols), coded);
    coded.shrink_to_fit();
    fuzz::check(fuzz::decode_all(codec, table, static_cast<std::int64_t>(cols), coded, count) == part);
  }
  return 0;
}
