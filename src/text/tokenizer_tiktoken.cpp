// Files of ranks, which tiktoken made usual: a token's rank is both its id and its place in the order of
// merging. The expression that cuts words and the special tokens stand in the code of each family.
#include <charconv>
#include <nlohmann/json.hpp>

#include "text/base64.h"
#include "text/bpe_family.h"
#include "text/byte_level.h"
#include "text/component.h"
#include "text/model_bpe.h"
#include "text/tokenizer_files.h"
#include "text/tokenizer_pipeline.h"

namespace twofold {

namespace {

/// What the code of a family adds to its ranks.
struct RankFamily {
  std::string_view name;
  std::string_view words;  // the family of expressions
  std::vector<std::string> special;
  std::string bos;  // empty: none
  std::string eos;
  bool nfc = false;
};

std::vector<std::string> numbered(std::vector<std::string> names, const char* pattern, int first, int last) {
  for (int i = first; i <= last; ++i) names.push_back(fmt::format(fmt::runtime(pattern), i));
  return names;
}

RankFamily llama3() {
  std::vector<std::string> special = {"<|begin_of_text|>",
                                      "<|end_of_text|>",
                                      "<|reserved_special_token_0|>",
                                      "<|reserved_special_token_1|>",
                                      "<|reserved_special_token_2|>",
                                      "<|reserved_special_token_3|>",
                                      "<|start_header_id|>",
                                      "<|end_header_id|>",
                                      "<|reserved_special_token_4|>",
                                      "<|eot_id|>"};
  return {"Llama 3", "llama-bpe", numbered(special, "<|reserved_special_token_{}|>", 5, 250),
          "<|begin_of_text|>", "<|end_of_text|>"};
}

RankFamily qwen() {
  return {"Qwen",
          "qwen2",
          numbered({"<|endoftext|>", "<|im_start|>", "<|im_end|>"}, "<|extra_{}|>", 0, 204),
          "",
          "<|endoftext|>",
          true};
}

/// Qwen's files end in .tiktoken; the others are Llama's tokenizer.model.
RankFamily family_of(const std::string& where) {
  return where.ends_with(".tiktoken") ? qwen() : llama3();
}

std::vector<std::string> parse_ranks(std::string_view text, const std::string& where) {
  std::vector<std::string> tokens;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = text.substr(at, end - at);
    at = end + 1;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() && at >= text.size()) break;
    const std::size_t space = line.find(' ');
    const auto bytes = decode_base64(line.substr(0, space));
    std::size_t rank = tokens.size() + 1;
    if (space != std::string_view::npos) {
      const auto [stop, error] = std::from_chars(line.data() + space + 1, line.data() + line.size(), rank);
      if (error != std::errc() || stop != line.data() + line.size()) rank = tokens.size() + 1;
    }
    if (!bytes || bytes->empty() || rank != tokens.size()) {
      fail("{}: line {}: expected a token in base64, a space and the rank {}, found {}", where,
           tokens.size() + 1, tokens.size(), quote(line));
    }
    tokens.push_back(*bytes);
    if (static_cast<std::int64_t>(tokens.size()) > kMaxTokenId) {
      fail("{}: expected at most {} ranks", where, kMaxTokenId);
    }
  }
  return tokens;
}

/// A model over the bytes of the tokens, whose ranks count from `first_id`.
std::unique_ptr<TokenizerModel> make_rank_model(const std::vector<std::string>& before,
                                                const std::vector<std::string>& tokens,
                                                const std::string& where) {
  std::vector<std::string> pieces = before;
  std::vector<std::optional<std::uint32_t>> ranks(before.size());
  for (const std::string& token : tokens) {
    ranks.push_back(static_cast<std::uint32_t>(pieces.size()));
    pieces.push_back(to_byte_level(token));
  }
  Vocab vocab(std::move(pieces), where);
  if (vocab.count() != vocab.end()) fail("{}: a token is there twice", where);
  for (int byte = 0; byte < 256; ++byte) {
    if (!vocab.find(to_byte_level(std::string(1, static_cast<char>(byte))))) {
      fail("{}: expected a token for every single byte, found none for 0x{:02X}", where, byte);
    }
  }
  const std::vector<BpeMerge> merges = merges_of_pieces(vocab, ranks);
  BpeOptions options;
  options.ignore_merges = true;
  return make_bpe_model(std::move(vocab), merges, options);
}

std::optional<TokenId> find_token(const std::vector<AddedToken>& tokens, std::string_view content) {
  for (const AddedToken& token : tokens) {
    if (token.content == content) return token.id;
  }
  return std::nullopt;
}

/// The rest of the pipeline. `added` are the special tokens, `bos` and `eos` the contents of two of them.
std::unique_ptr<Tokenizer> finish(TokenizerStages stages, std::vector<AddedToken> added,
                                  const std::string& bos, const std::string& eos,
                                  const TokenizerConfig& config, const std::string& where) {
  stages.decoder = make_byte_level_decoder();
  stages.bos = find_token(added, bos);
  stages.eos = find_token(added, eos);
  if (stages.bos) stages.prompt.before = {*stages.bos};
  check_growth(stages, where);
  stages.added = std::make_unique<AddedTokens>(std::move(added), stages.normalizer.get(), where);
  return assemble_tokenizer(std::move(stages), config, where, where);
}

}  // namespace

std::unique_ptr<Tokenizer> parse_tiktoken_ranks(std::string_view text, const TokenizerConfig& config,
                                                const std::string& where) {
  const std::vector<std::string> tokens = parse_ranks(text, where);
  const RankFamily family = family_of(where);
  BpeFamily words = *find_bpe_family(family.words);
  words.nfc = family.nfc;
  TokenizerStages stages;
  stages.model = make_rank_model({}, tokens, where);
  stages.normalizer = make_family_normalizer(words);
  stages.pre_tokenizer = make_byte_level_pre_tokenizer(words, where);
  std::vector<AddedToken> added = config.added;
  if (added.empty()) {
    for (const std::string& content : family.special) {
      AddedToken token;
      token.id = stages.model->vocab().end() + static_cast<TokenId>(added.size());
      token.content = content;
      token.special = true;
      added.push_back(std::move(token));
    }
  }
  return finish(std::move(stages), std::move(added), family.bos, family.eos, config, where);
}

std::unique_ptr<Tokenizer> parse_tekken(std::string_view json, const TokenizerConfig& config,
                                        const std::string& where) {
  const Json root = parse_json(json, where);
  const Json& settings = json_object(root, "config", where);
  const std::string where_config = where + ": config";
  const std::int64_t specials =
      json_int(settings, "default_num_special_tokens", where_config, 0, kMaxTokenId);
  const std::int64_t size = json_int(settings, "default_vocab_size", where_config, specials, kMaxTokenId);
  // The first special tokens have names, the rest are numbered.
  std::vector<std::string> names;
  const Json named =
      root.contains("special_tokens") && !root["special_tokens"].is_null()
          ? json_array(root, "special_tokens", where)
          : Json::parse(R"([{"token_str": "<unk>"}, {"token_str": "<s>"}, {"token_str": "</s>"}])");
  for (const Json& item : named) {
    names.push_back(json_string(item, "token_str", join_path(where, "special_tokens", names.size())));
  }
  if (static_cast<std::int64_t>(names.size()) > specials) {
    fail("{}: \"special_tokens\": expected at most {}, found {}", where, specials, names.size());
  }
  while (static_cast<std::int64_t>(names.size()) < specials) {
    names.push_back(fmt::format("<SPECIAL_{}>", names.size()));
  }
  std::vector<std::string> tokens;
  for (const Json& item : json_array(root, "vocab", where)) {
    if (static_cast<std::int64_t>(tokens.size()) == size - specials) break;
    const std::string path = join_path(where, "vocab", tokens.size());
    const auto bytes = decode_base64(json_string(item, "token_bytes", path));
    if (!bytes || bytes->empty()) fail("{}: \"token_bytes\": expected base64 of one byte or more", path);
    json_int(item, "rank", path, static_cast<std::int64_t>(tokens.size()),
             static_cast<std::int64_t>(tokens.size()));
    tokens.push_back(*bytes);
  }
  TokenizerStages stages;
  std::vector<AddedToken> added;
  for (const std::string& name : names) {
    AddedToken token;
    token.id = static_cast<TokenId>(added.size());
    token.content = name;
    token.special = true;
    added.push_back(std::move(token));
  }
  // A name that a token's bytes spell too must not be found in their place: no token has a character that is
  // not of the alphabet.
  std::vector<std::string> before;
  for (const std::string& name : names) before.push_back(" " + name);
  stages.model = make_rank_model(before, tokens, where);
  BpeFamily words;
  const std::string expression = json_string(settings, "pattern", where_config);
  words.expressions[0] = expression;
  stages.pre_tokenizer = make_byte_level_pre_tokenizer(words, where_config);
  return finish(std::move(stages), std::move(added), "<s>", "</s>", config, where);
}

}  // namespace twofold
