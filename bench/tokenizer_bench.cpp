// Encoding and decoding real vocabularies, where the shared files are at hand: bytes of text per second of
// one thread, the whole of books-valid.txt in one call.

#include <benchmark/benchmark.h>

#include <filesystem>
#include <memory>

#include "base/file.h"
#include "text/tokenizer.h"

namespace twofold {
namespace {

const std::filesystem::path kShared = TWOFOLD_SHARED_DIR;

void tokenizer(benchmark::State& state, const char* path, bool decode) {
  const std::filesystem::path text_path = kShared / "text/books-valid.txt";
  if (!std::filesystem::exists(kShared / path) || !std::filesystem::exists(text_path)) {
    state.SkipWithError("the shared files are missing");
    return;
  }
  const std::string text = read_file(text_path);
  const auto tokenizer = load_tokenizer(kShared / path);
  const std::vector<TokenId> ids = tokenizer->encode(text);
  for (auto _ : state) {
    if (decode) {
      benchmark::DoNotOptimize(tokenizer->decode(ids));
    } else {
      benchmark::DoNotOptimize(tokenizer->encode(text));
    }
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * text.size()));
}

void load(benchmark::State& state, const char* path) {
  if (!std::filesystem::exists(kShared / path)) {
    state.SkipWithError("the shared files are missing");
    return;
  }
  for (auto _ : state) benchmark::DoNotOptimize(load_tokenizer(kShared / path));
}

#define TWOFOLD_TOKENIZER(name, path)                                                      \
  BENCHMARK_CAPTURE(tokenizer, encode_##name, path, false)->Unit(benchmark::kMillisecond); \
  BENCHMARK_CAPTURE(tokenizer, decode_##name, path, true)->Unit(benchmark::kMillisecond);  \
  BENCHMARK_CAPTURE(load, name, path)->Unit(benchmark::kMillisecond)
TWOFOLD_TOKENIZER(gpt2, "vocab/gpt-2.gguf");
TWOFOLD_TOKENIZER(llama2, "vocab/llama-2.tokenizer.model");
TWOFOLD_TOKENIZER(llama3, "tokenizers/llama-3");
TWOFOLD_TOKENIZER(falcon, "vocab/falcon.gguf");
TWOFOLD_TOKENIZER(pythia, "tokenizers/gpt-neox-pythia");
#undef TWOFOLD_TOKENIZER

}  // namespace
}  // namespace twofold
