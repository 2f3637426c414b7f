// The vocabulary in the metadata of a GGUF file: keys tokenizer.ggml.*. What the keys leave open is as the
// format's own reader has it: the names of kinds and families, and which ids are BOS and EOS.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "text/bpe_family.h"
#include "text/component.h"
#include "text/model_bpe.h"
#include "text/sentencepiece.h"
#include "text/tokenizer_files.h"
#include "text/unicode.h"

namespace twofold {

namespace {

using Type = SentencePieceVocab::Type;

constexpr const char* kTokens = "tokenizer.ggml.tokens";
constexpr const char* kTypes = "tokenizer.ggml.token_type";
constexpr const char* kScores = "tokenizer.ggml.scores";
constexpr const char* kMerges = "tokenizer.ggml.merges";
constexpr const char* kCharsmap = "tokenizer.ggml.precompiled_charsmap";

/// What prompts get where the file does not say.
struct Ends {
  std::optional<TokenId> bos;
  std::optional<TokenId> eos;
  bool add_bos = false;
  bool add_eos = false;
};

std::vector<std::string> read_tokens(const GgufFile& file) {
  if (!file.has(kTokens)) fail("{}: missing key \"{}\"", file.path(), kTokens);
  std::vector<std::string> tokens;
  for (const std::string_view token : file.strings(kTokens)) tokens.emplace_back(token);
  return tokens;
}

std::vector<Type> read_types(const GgufFile& file, std::size_t count) {
  if (!file.has(kTypes)) return std::vector<Type>(count, Type::kNormal);
  const std::vector<std::int64_t> numbers = file.integers(kTypes);
  if (numbers.size() != count) {
    fail("{}: \"{}\": expected {} types, as there are tokens, found {}", file.path(), kTypes, count,
         numbers.size());
  }
  std::vector<Type> types;
  for (const std::int64_t number : numbers) {
    if (number < 0 || number > 6) {
      fail("{}: \"{}\": expected types from 1 to 6, found {}", file.path(), kTypes, number);
    }
    types.push_back(number == 0 ? Type::kNormal : static_cast<Type>(number));
  }
  return types;
}

std::unique_ptr<Tokenizer> finish(const GgufFile& file, TokenizerStages stages, const Ends& ends) {
  const auto count = static_cast<std::int64_t>(stages.model->vocab().end());
  const auto id_of = [&](const char* key, std::optional<TokenId> fallback) -> std::optional<TokenId> {
    if (fallback && *fallback >= count) fallback.reset();
    if (!file.has(key)) return fallback;
    const std::int64_t id = file.integer(key, -1, UINT32_MAX);
    if (id == -1 || id == UINT32_MAX) return std::nullopt;
    if (id >= count) fail("{}: \"{}\": expected an id below {}, found {}", file.path(), key, count, id);
    return static_cast<TokenId>(id);
  };
  stages.bos = id_of("tokenizer.ggml.bos_token_id", ends.bos);
  stages.eos = id_of("tokenizer.ggml.eos_token_id", ends.eos);
  TokenizerConfig config;
  config.add_bos = file.boolean("tokenizer.ggml.add_bos_token", ends.add_bos);
  config.add_eos = file.boolean("tokenizer.ggml.add_eos_token", ends.add_eos);
  return assemble_tokenizer(std::move(stages), config, file.path(), file.path());
}

std::unique_ptr<Tokenizer> parse_sentencepiece(const GgufFile& file, bool unigram) {
  SentencePieceVocab vocab;
  vocab.pieces = read_tokens(file);
  vocab.types = read_types(file, vocab.pieces.size());
  vocab.unigram = unigram;
  if (!file.has(kScores)) fail("{}: missing key \"{}\"", file.path(), kScores);
  vocab.scores = file.numbers(kScores);
  if (vocab.scores.size() != vocab.pieces.size()) {
    fail("{}: \"{}\": expected {} scores, as there are tokens, found {}", file.path(), kScores,
         vocab.pieces.size(), vocab.scores.size());
  }
  const auto is_finite = [](float score) { return std::isfinite(score); };
  if (!std::ranges::all_of(vocab.scores, is_finite)) {
    fail("{}: \"{}\": expected numbers, found one that is not", file.path(), kScores);
  }
  vocab.byte_fallback = std::ranges::find(vocab.types, Type::kByte) != vocab.types.end();
  vocab.add_dummy_prefix = file.boolean("tokenizer.ggml.add_space_prefix", true);
  vocab.remove_extra_whitespaces = file.boolean("tokenizer.ggml.remove_extra_whitespaces", false);
  if (file.has(kCharsmap)) {
    for (const std::int64_t byte : file.integers(kCharsmap)) {
      vocab.charsmap += static_cast<char>(static_cast<std::uint8_t>(byte));
    }
  }
  const Ends ends = unigram ? Ends{std::nullopt, 1, false, true} : Ends{1, 2, true, false};
  return finish(file, make_sentencepiece_stages(std::move(vocab), {}, file.path()), ends);
}

std::unique_ptr<Tokenizer> parse_byte_level(const GgufFile& file) {
  const std::string name(file.string("tokenizer.ggml.pre", "default"));
  const BpeFamily* family = find_bpe_family(name);
  if (family == nullptr) {
    fail("{}: \"tokenizer.ggml.pre\": unknown kind {}; known kinds: {}", file.path(), quote(name),
         bpe_family_names());
  }
  const std::vector<std::string> pieces = read_tokens(file);
  const std::vector<Type> types = read_types(file, pieces.size());
  Vocab vocab(pieces, fmt::format("{}: \"{}\"", file.path(), kTokens));
  BpeMergeList merges(vocab);
  if (!file.has(kMerges)) fail("{}: missing key \"{}\"", file.path(), kMerges);
  std::size_t index = 0;
  for (const std::string_view line : file.strings(kMerges)) {
    const auto where = [&] { return fmt::format("{}: \"{}\"[{}]", file.path(), kMerges, index); };
    if (!is_valid_utf8(line)) fail("{}: {} is not UTF-8", where(), quote(line));
    if (!merges.add(line, where)) {
      fail("{}: expected two pieces with one space between, found {}", where(), quote(line));
    }
    ++index;
  }
  BpeOptions options;
  options.ignore_merges = family->ignore_merges;
  const std::vector<BpeMerge> rules = merges.take();
  TokenizerStages stages;
  stages.model = make_bpe_model(std::move(vocab), rules, options);
  stages.normalizer = make_family_normalizer(*family);
  stages.pre_tokenizer = make_byte_level_pre_tokenizer(*family, file.path());
  stages.decoder = make_byte_level_decoder();
  check_growth(stages, file.path());
  std::vector<AddedToken> added;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const bool special = types[i] == Type::kControl || types[i] == Type::kUnknown;
    if ((!special && types[i] != Type::kUserDefined) || pieces[i].empty()) continue;
    AddedToken token;
    token.id = static_cast<TokenId>(i);
    token.content = pieces[i];
    token.special = special;
    added.push_back(std::move(token));
  }
  stages.added = std::make_unique<AddedTokens>(std::move(added), stages.normalizer.get(), file.path());
  return finish(file, std::move(stages), {11, 11, family->add_bos, false});
}

}  // namespace

std::unique_ptr<Tokenizer> parse_gguf_tokenizer(const GgufFile& file) {
  const std::string_view kind = file.string("tokenizer.ggml.model");
  if (kind == "gpt2") return parse_byte_level(file);
  if (kind == "llama") return parse_sentencepiece(file, false);
  if (kind == "t5") return parse_sentencepiece(file, true);
  fail("{}: \"tokenizer.ggml.model\": unknown kind {}; known kinds: gpt2, llama, t5", file.path(),
       quote(kind));
}

}  // namespace twofold
