// Hostile tables and chunks: any codec gives weights or an Error, on every instruction set the same. The
// input is table and chunk as they are, or weights whose encoding is then damaged.

#include "codec_fuzz_input.h"

using namespace twofold;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const Codec& codec = fuzz::pick_codec(input);
  if (input.byte() % 2 == 0) {
    const std::size_t count = input.number() % 9000;
    const std::vector<std::uint8_t> table = input.take(input.byte());
    const std::int64_t cols = 1 + input.byte();
    fuzz::decode_all(codec, table, cols, input.rest(), count);
    return 0;
  }
  struct Damage {
    std::size_t position;
    std::uint8_t mask;
  };
  std::vector<Damage> damages(input.byte() % 5);
  for (Damage& damage : damages) damage = {input.number(), input.byte()};
  const std::size_t cut = input.byte() % 2 == 0 ? 0 : input.number();
  const std::size_t width = 1 + input.byte();
  const auto cols = static_cast<std::int64_t>(width);
  const std::vector<std::int8_t> weights = fuzz::draw_weights(input, width);
  std::vector<std::uint8_t> table = codec.make_table(weights, cols);
  std::vector<std::uint8_t> coded;
  codec.encode(table, weights, cols, coded);
  coded.resize(coded.size() - std::min(cut, coded.size()));
  coded.shrink_to_fit();
  bool changed = cut > 0;
  for (const Damage& damage : damages) {
    if (table.size() + coded.size() == 0) break;
    const std::size_t at = damage.position % (table.size() + coded.size());
    (at < table.size() ? table[at] : coded[at - table.size()]) ^= damage.mask;
    changed = true;
  }
  const auto decoded = fuzz::decode_all(codec, table, cols, coded, weights.size());
  if (!changed) fuzz::check(decoded == weights);
  return 0;
}
