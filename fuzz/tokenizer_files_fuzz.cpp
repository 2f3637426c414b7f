// Vocabularies of the other kinds of files, by the first byte: SentencePiece's model, ranks, vocab.json with
// merges.txt behind a byte 0xFF, tekken.json, GGUF. They are refused with an Error, or make a tokenizer that
// works.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "base/error.h"
#include "text/tokenizer_files.h"

using namespace twofold;

namespace {

std::unique_ptr<Tokenizer> parse(std::uint8_t kind, std::string_view input) {
  switch (kind % 5) {
    case 0:
      return parse_sentencepiece_model(input, {}, "tokenizer.model");
    case 1:
      return parse_tiktoken_ranks(input, {}, "tokenizer.model");
    case 2: {
      const std::size_t end = input.find('\xff');
      const std::string_view merges = end == std::string_view::npos ? "" : input.substr(end + 1);
      return parse_vocab_and_merges(input.substr(0, end), merges, {}, "vocab.json", "merges.txt");
    }
    case 3:
      return parse_tekken(input, {}, "tekken.json");
    default:
      return parse_gguf_tokenizer(
          GgufFile({reinterpret_cast<const std::uint8_t*>(input.data()), input.size()}, "v.gguf"));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  try {
    const auto tokenizer = parse(data[0], {reinterpret_cast<const char*>(data + 1), size - 1});
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
