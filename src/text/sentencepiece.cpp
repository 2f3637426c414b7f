#include "text/sentencepiece.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "text/charsmap.h"
#include "text/component.h"
#include "text/model_bpe.h"
#include "text/model_unigram.h"
#include "text/unicode.h"

namespace twofold {

namespace {

using Type = SentencePieceVocab::Type;

constexpr std::string_view kSpace = "\xe2\x96\x81";  // U+2581

/// SentencePiece's normalizer (its normalizer.cc): the rules at each place, the longest that matches; white
/// space trimmed and joined where asked; a space in front; spaces as "▁".
class SentencePieceNormalizer : public Normalizer {
 public:
  SentencePieceNormalizer(std::optional<Charsmap> charsmap, bool add_dummy_prefix, bool remove_extra_spaces)
      : charsmap_(std::move(charsmap)),
        add_dummy_prefix_(add_dummy_prefix),
        remove_extra_spaces_(remove_extra_spaces) {}

  void normalize(std::string& text) const override {
    std::string result;
    result.reserve(text.size() + text.size() / 2);
    bool begun = false;
    bool after_space = remove_extra_spaces_;
    const std::string_view all = text;
    for (std::size_t at = 0; at < all.size();) {
      std::string_view part = next_part(all, at);
      while (after_space && part.starts_with(' ')) part.remove_prefix(1);
      if (part.empty() && !begun && remove_extra_spaces_) continue;
      if (!begun && add_dummy_prefix_) result += kSpace;
      begun = true;
      if (part.empty()) continue;
      for (const char c : part) {
        if (c == ' ') {
          result += kSpace;
        } else {
          result += c;
        }
      }
      after_space = remove_extra_spaces_ && part.ends_with(' ');
    }
    while (remove_extra_spaces_ && result.ends_with(kSpace)) result.resize(result.size() - kSpace.size());
    text = std::move(result);
  }

  double growth() const override {
    const double longest = charsmap_ ? static_cast<double>(charsmap_->longest_replacement()) : 1;
    return 3 * std::max(1.0, longest) + 3;
  }

 private:
  /// What stands for the text at `at`, which moves behind it.
  std::string_view next_part(std::string_view text, std::size_t& at) const {
    if (charsmap_) {
      if (const auto match = charsmap_->longest(text.substr(at))) {
        at += match->length;
        return match->replacement;
      }
    }
    const std::size_t begin = at;
    next_code_point(text, at);
    return text.substr(begin, at - begin);
  }

  std::optional<Charsmap> charsmap_;
  bool add_dummy_prefix_;
  bool remove_extra_spaces_;
};

/// BPE: pieces are merged in the order of their scores, the highest first.
std::unique_ptr<TokenizerModel> make_bpe(Vocab vocab, const SentencePieceVocab& source,
                                         std::optional<TokenId> unknown) {
  std::map<float, std::uint32_t, std::greater<>> order;
  const auto takes_part = [&](std::size_t i) {
    return source.types[i] == Type::kNormal || source.types[i] == Type::kUnused;
  };
  for (std::size_t i = 0; i < source.scores.size(); ++i) {
    if (takes_part(i)) order.emplace(source.scores[i], 0);
  }
  std::uint32_t next = 0;
  for (auto& [score, rank] : order) rank = next++;
  std::vector<std::optional<std::uint32_t>> ranks(source.scores.size());
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    if (takes_part(i)) ranks[i] = order.at(source.scores[i]);
  }
  const std::vector<BpeMerge> merges = merges_of_pieces(vocab, ranks);
  BpeOptions options;
  options.unknown = unknown;
  options.fuse_unknown = true;
  options.byte_fallback = source.byte_fallback;
  return make_bpe_model(std::move(vocab), merges, options);
}

std::unique_ptr<TokenizerModel> make_unigram(Vocab vocab, const SentencePieceVocab& source,
                                             std::optional<TokenId> unknown, const std::string& where) {
  UnigramOptions options;
  options.scores.assign(source.scores.begin(), source.scores.end());
  for (const Type type : source.types) options.in_text.push_back(type == Type::kNormal);
  options.unknown = unknown;
  options.byte_fallback = source.byte_fallback;
  return make_unigram_model(std::move(vocab), std::move(options), where);
}

std::vector<AddedToken> added_tokens(const SentencePieceVocab& vocab, const std::vector<AddedToken>& more) {
  std::vector<AddedToken> tokens;
  for (std::size_t i = 0; i < vocab.pieces.size(); ++i) {
    const Type type = vocab.types[i];
    const bool user_defined = type == Type::kUserDefined;
    if (type != Type::kControl && type != Type::kUnknown && !user_defined) continue;
    if (vocab.pieces[i].empty()) continue;
    AddedToken token;
    token.id = static_cast<TokenId>(i);
    token.content = vocab.pieces[i];
    token.pattern = token.content;
    token.special = !user_defined;
    token.normalized = user_defined;
    tokens.push_back(std::move(token));
  }
  tokens.insert(tokens.end(), more.begin(), more.end());
  return tokens;
}

std::unique_ptr<TextDecoder> make_decoder(bool add_dummy_prefix) {
  Json steps = Json::array({{{"type", "Replace"}, {"pattern", {{"String", kSpace}}}, {"content", " "}},
                            {{"type", "ByteFallback"}},
                            {{"type", "Fuse"}}});
  if (add_dummy_prefix) steps.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  return parse_decoder({{"type", "Sequence"}, {"decoders", steps}}, "");
}

}  // namespace

TokenizerStages make_sentencepiece_stages(SentencePieceVocab source, const std::vector<AddedToken>& added,
                                          const std::string& where) {
  TokenizerStages stages;
  std::optional<Charsmap> charsmap;
  if (!source.charsmap.empty()) charsmap.emplace(source.charsmap, where + ": precompiled_charsmap");
  stages.normalizer = std::make_unique<SentencePieceNormalizer>(std::move(charsmap), source.add_dummy_prefix,
                                                                source.remove_extra_whitespaces);
  stages.decoder = make_decoder(source.add_dummy_prefix);
  check_growth(stages, where);
  stages.added = std::make_unique<AddedTokens>(added_tokens(source, added), stages.normalizer.get(), where);

  std::optional<TokenId> unknown;
  const auto found = std::ranges::find(source.types, Type::kUnknown);
  if (found != source.types.end()) unknown = static_cast<TokenId>(found - source.types.begin());
  Vocab vocab(std::move(source.pieces), where);
  stages.model = source.unigram ? make_unigram(std::move(vocab), source, unknown, where)
                                : make_bpe(std::move(vocab), source, unknown);
  return stages;
}

}  // namespace twofold
