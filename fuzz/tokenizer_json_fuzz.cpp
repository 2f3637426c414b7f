// A tokenizer.json of any bytes, and behind a byte 0xFF, which JSON cannot hold, a tokenizer_config.json:
// they are refused with an Error, or make a tokenizer that works.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "text/tokenizer.h"

using namespace twofold;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t end = input.find('\xff');
  const std::string_view config = end == std::string_view::npos ? "" : input.substr(end + 1);
  try {
    const auto tokenizer = parse_tokenizer_json(input.substr(0, end), config, "tokenizer.json");
    const auto ids = tokenizer->encode_prompt("the  abc<s> \n\xe2\x96\x81\xe4\xb8\x96 [T]\xff");
    for (const TokenId id : ids) {
      if (id < 0 || id >= tokenizer->vocab_size()) std::abort();
      tokenizer->piece(id);
    }
    tokenizer->decode(ids);
  } catch (const Error&) {
  }
  return 0;
}
