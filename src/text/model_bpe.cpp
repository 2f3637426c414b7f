#include "text/model_bpe.h"

#include <array>
#include <nlohmann/json.hpp>
#include <optional>

#include "text/bpe_word_cache.h"
#include "text/bpe_word_splitter.h"
#include "text/byte_token.h"
#include "text/static_map.h"
#include "text/unicode.h"

namespace twofold {

namespace {

constexpr TokenId kNoId = -1;

/// Byte-pair encoding over characters.
class BpeModel : public TokenizerModel {
 public:
  BpeModel(Vocab vocab, const std::vector<BpeMerge>& merges, BpeOptions options);

  void encode(std::string_view text, const std::vector<std::size_t>& ends,
              std::vector<TokenId>& ids) const override;

 private:
  struct Scratch {
    std::vector<TokenId> symbols;
    BpeMerger::Scratch merger;
  };

  void encode_piece(std::string_view piece, Scratch& scratch, std::vector<TokenId>& ids) const;
  void encode_long_piece(std::string_view piece, BpeWordCache& cache, Scratch& scratch,
                         std::vector<TokenId>& ids) const;
  void encode_word(std::string_view word, Scratch& scratch, std::vector<TokenId>& ids) const;
  void append_symbols(std::string_view word, std::vector<TokenId>& symbols) const;
  TokenId marked_character_id(std::string_view character, bool first, bool last) const;
  bool append_byte_tokens(std::string_view character, std::vector<TokenId>& symbols) const;
  TokenId character_id(char32_t character) const {
    if (character < ascii_ids_.size()) return ascii_ids_[character];
    const std::uint64_t* id = character_ids_.find(character);
    return id == nullptr ? kNoId : static_cast<TokenId>(*id);
  }
  bool marks_characters() const { return !options_.prefix.empty() || !options_.suffix.empty(); }
  bool closed() const {
    return options_.byte_fallback && std::ranges::find(byte_ids_, kNoId) == byte_ids_.end();
  }

  BpeOptions options_;
  std::array<TokenId, 128> ascii_ids_;
  StaticMap character_ids_;  // of the other pieces of one character
  std::array<TokenId, 256> byte_ids_;
  BpeMerger merger_;
  BpeWordSplitter splitter_;
};

std::vector<StaticMap::Entry> single_characters(const Vocab& vocab) {
  std::vector<StaticMap::Entry> entries;
  for (TokenId id = 0; id < vocab.end(); ++id) {
    const std::string* piece = vocab.piece(id);
    if (piece == nullptr || piece->empty()) continue;
    std::size_t at = 0;
    const char32_t character = next_code_point(*piece, at);
    if (at == piece->size()) entries.emplace_back(character, static_cast<std::uint64_t>(id));
  }
  return entries;
}

template <std::size_t kCount, typename PieceOf>
std::array<TokenId, kCount> ids_of(const Vocab& vocab, PieceOf piece_of) {
  std::array<TokenId, kCount> ids;
  for (std::size_t i = 0; i < kCount; ++i) ids[i] = vocab.find(piece_of(i)).value_or(kNoId);
  return ids;
}

BpeModel::BpeModel(Vocab vocab, const std::vector<BpeMerge>& merges, BpeOptions options)
    : TokenizerModel(std::move(vocab)),
      options_(std::move(options)),
      ascii_ids_(
          ids_of<128>(this->vocab(), [](std::size_t i) { return std::string(1, static_cast<char>(i)); })),
      character_ids_(single_characters(this->vocab())),
      byte_ids_(
          ids_of<256>(this->vocab(), [](std::size_t i) { return byte_token(static_cast<std::uint8_t>(i)); })),
      merger_(merges),
      splitter_(this->vocab(), merges, closed()) {}

void BpeModel::encode(std::string_view text, const std::vector<std::size_t>& ends,
                      std::vector<TokenId>& ids) const {
  Scratch scratch;
  BpeWordCache pieces(text.size());
  // Where a whole piece may be a token whatever the merges say, the words within a longer one are apart.
  std::optional<BpeWordCache> words;
  std::size_t begin = 0;
  for (const std::size_t end : ends) {
    const std::string_view piece = text.substr(begin, end - begin);
    begin = end;
    if (BpeWordCache::takes(piece)) {
      pieces.encode(piece, ids, [&] { encode_piece(piece, scratch, ids); });
    } else if (!options_.ignore_merges) {
      encode_long_piece(piece, pieces, scratch, ids);
    } else if (const auto id = vocab().find(piece)) {
      ids.push_back(*id);
    } else {
      if (!words) words.emplace(text.size());
      encode_long_piece(piece, *words, scratch, ids);
    }
  }
}

void BpeModel::encode_piece(std::string_view piece, Scratch& scratch, std::vector<TokenId>& ids) const {
  if (options_.ignore_merges) {
    if (const auto id = vocab().find(piece)) {
      ids.push_back(*id);
      return;
    }
  }
  encode_word(piece, scratch, ids);
}

void BpeModel::encode_long_piece(std::string_view piece, BpeWordCache& cache, Scratch& scratch,
                                 std::vector<TokenId>& ids) const {
  if (marks_characters()) {  // words do not begin and end as the piece does
    encode_word(piece, scratch, ids);
    return;
  }
  for (std::size_t at = 0; at < piece.size();) {
    const std::size_t word_end = splitter_.word_end(piece, at);
    const std::string_view word = piece.substr(at, word_end - at);
    at = word_end;
    if (BpeWordCache::takes(word)) {
      cache.encode(word, ids, [&] { encode_word(word, scratch, ids); });
    } else {
      encode_word(word, scratch, ids);
    }
  }
}

void BpeModel::encode_word(std::string_view word, Scratch& scratch, std::vector<TokenId>& ids) const {
  scratch.symbols.clear();
  append_symbols(word, scratch.symbols);
  merger_.merge(scratch.symbols, scratch.merger, ids);
}

void BpeModel::append_symbols(std::string_view word, std::vector<TokenId>& symbols) const {
  // Unknown tokens wait until the next character with a piece of its own, byte tokens overtake them: so the
  // reference has it. They matter only where the vocabulary lacks some byte tokens.
  std::size_t unknowns = 0;
  const auto flush = [&] {
    if (options_.unknown) symbols.insert(symbols.end(), unknowns, *options_.unknown);
    unknowns = 0;
  };
  for (std::size_t at = 0; at < word.size();) {
    const std::size_t begin = at;
    TokenId id = character_id(next_code_point(word, at));
    const std::string_view character = word.substr(begin, at - begin);
    if (marks_characters()) id = marked_character_id(character, begin == 0, at == word.size());
    if (id != kNoId) {
      flush();
      symbols.push_back(id);
    } else if (!append_byte_tokens(character, symbols)) {
      if (!options_.fuse_unknown) flush();
      unknowns = 1;
    }
  }
  flush();
}

TokenId BpeModel::marked_character_id(std::string_view character, bool first, bool last) const {
  std::string text = first ? "" : options_.prefix;
  text += character;
  if (last) text += options_.suffix;
  return vocab().find(text).value_or(kNoId);
}

bool BpeModel::append_byte_tokens(std::string_view character, std::vector<TokenId>& symbols) const {
  if (!options_.byte_fallback) return false;
  const std::size_t before = symbols.size();
  for (const char byte : character) {
    const TokenId id = byte_ids_[static_cast<unsigned char>(byte)];
    if (id == kNoId) {
      symbols.resize(before);
      return false;
    }
    symbols.push_back(id);
  }
  return true;
}

}  // namespace

std::unique_ptr<TokenizerModel> make_bpe_model(Vocab vocab, const std::vector<BpeMerge>& merges,
                                               BpeOptions options) {
  return std::make_unique<BpeModel>(std::move(vocab), merges, std::move(options));
}

std::unique_ptr<TokenizerModel> parse_bpe_model(const Json& json, const std::string& where) {
  if (json_double(json, "dropout", where, 0, 1, 0.0) != 0) {
    fail("{}: \"dropout\": random encoding is not supported, expected null or 0", where);
  }
  BpeOptions options;
  options.fuse_unknown = json_bool(json, "fuse_unk", where, false);
  options.byte_fallback = json_bool(json, "byte_fallback", where, false);
  options.ignore_merges = json_bool(json, "ignore_merges", where, false);
  options.prefix = json_string(json, "continuing_subword_prefix", where, "");
  options.suffix = json_string(json, "end_of_word_suffix", where, "");
  Vocab vocab(json_object(json, "vocab", where), join_path(where, "vocab"));
  if (json.contains("unk_token") && !json["unk_token"].is_null()) {
    const std::string unknown = json_string(json, "unk_token", where);
    options.unknown = vocab.find(unknown);
    if (!options.unknown) fail("{}: \"unk_token\": {} is not in the vocabulary", where, quote(unknown));
  }
  const std::vector<BpeMerge> merges = parse_bpe_merges(json, vocab, options.prefix.size(), where);
  return make_bpe_model(std::move(vocab), merges, std::move(options));
}

}  // namespace twofold
