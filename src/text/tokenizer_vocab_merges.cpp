// vocab.json and merges.txt: byte-level BPE as GPT-2 has it.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "text/bpe_family.h"
#include "text/component.h"
#include "text/model_bpe.h"
#include "text/tokenizer_files.h"
#include "text/tokenizer_pipeline.h"
#include "text/unicode.h"

namespace twofold {

namespace {

std::vector<BpeMerge> parse_merges(std::string_view text, const Vocab& vocab, const std::string& where) {
  BpeMergeList merges(vocab);
  std::size_t number = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = text.substr(at, end - at);
    at = end + 1;
    ++number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || (number == 1 && line.starts_with("#version"))) continue;
    const auto path = [&] { return fmt::format("{}: line {}", where, number); };
    if (!is_valid_utf8(line)) fail("{}: {} is not UTF-8", path(), quote(line));
    if (!merges.add(line, path)) {
      fail("{}: expected two pieces with one space between, found {}", path(), quote(line));
    }
  }
  return merges.take();
}

/// The special tokens that such vocabularies have, for directories that do not say.
constexpr std::string_view kSpecial[] = {"<|endoftext|>", "<s>", "</s>", "<unk>", "<pad>", "<mask>"};

std::vector<AddedToken> added_tokens(const TokenizerConfig& config, const Vocab& vocab) {
  std::vector<AddedToken> tokens = config.added;
  std::vector<std::string> contents = config.special;
  if (tokens.empty() && contents.empty()) contents.assign(std::begin(kSpecial), std::end(kSpecial));
  for (const std::string& content : contents) {
    const auto id = vocab.find(content);
    if (!id) continue;
    AddedToken token;
    token.id = *id;
    token.content = content;
    token.special = true;
    tokens.push_back(std::move(token));
  }
  return tokens;
}

}  // namespace

std::unique_ptr<Tokenizer> parse_vocab_and_merges(std::string_view vocab_json, std::string_view merges,
                                                  const TokenizerConfig& config, const std::string& where,
                                                  const std::string& where_merges) {
  const Json root = parse_json(vocab_json, where);
  if (!root.is_object()) fail("{}: expected an object of pieces and their ids", where);
  Vocab vocab(root, where);
  const std::vector<BpeMerge> rules = parse_merges(merges, vocab, where_merges);
  TokenizerStages stages;
  // Without further word: GPT-2's vocabulary has one token for both ends of a text and prompts begin without;
  // OPT's, which is fairseq's, has </s>, and its prompts begin with it.
  if (const auto end = vocab.find("<|endoftext|>")) {
    stages.bos = stages.eos = end;
  } else if (const auto end_of_sentence = vocab.find("</s>")) {
    stages.bos = stages.eos = end_of_sentence;
    stages.prompt.before = {*end_of_sentence};
  }
  if (config.add_bos) stages.prompt.before.clear();
  std::vector<AddedToken> added = added_tokens(config, vocab);
  stages.model = make_bpe_model(std::move(vocab), rules, {});
  stages.pre_tokenizer = parse_pre_tokenizer(
      {{"type", "ByteLevel"}, {"add_prefix_space", config.add_prefix_space.value_or(false)}}, where);
  stages.decoder = make_byte_level_decoder();
  check_growth(stages, where);
  stages.added = std::make_unique<AddedTokens>(std::move(added), stages.normalizer.get(), where);
  return assemble_tokenizer(std::move(stages), config, where, where);
}

}  // namespace twofold
