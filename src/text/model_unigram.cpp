#include "text/model_unigram.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "text/byte_token.h"
#include "text/piece_trie.h"
#include "text/unicode.h"

namespace twofold {

namespace {

constexpr TokenId kNoId = -1;
/// How much less likely than the least likely piece an unknown character is: SentencePiece's kUnkPenalty.
constexpr double kUnknownPenalty = 10;

class UnigramModel : public TokenizerModel {
 public:
  UnigramModel(Vocab vocab, UnigramOptions options, std::string where);

  void encode(std::string_view text, const std::vector<std::size_t>& ends,
              std::vector<TokenId>& ids) const override;

 private:
  /// The best way to a place in the text: the piece that ends there.
  struct Step {
    double score = 0;
    std::uint32_t begin = kUnreached;
    TokenId id = kNoId;
  };
  static constexpr std::uint32_t kUnreached = ~std::uint32_t{0};

  void encode_piece(std::string_view text, std::vector<Step>& steps, std::vector<TokenId>& ids) const;
  void append_unknown(std::string_view text, std::vector<TokenId>& ids) const;
  TokenId unknown(std::string_view text) const {
    if (options_.unknown) return *options_.unknown;
    fail("{}: no piece for {}, and no unknown token", where_, quote(text));
  }

  UnigramOptions options_;
  std::string where_;
  double unknown_score_ = 0;
  std::array<TokenId, 256> byte_ids_{};
  PieceTrie trie_;
};

UnigramModel::UnigramModel(Vocab vocab, UnigramOptions options, std::string where)
    : TokenizerModel(std::move(vocab)), options_(std::move(options)), where_(std::move(where)) {
  double least = std::numeric_limits<double>::infinity();
  std::vector<PieceTrie::Entry> entries;
  for (TokenId id = 0; id < this->vocab().end(); ++id) {
    const auto index = static_cast<std::size_t>(id);
    if (!options_.in_text.empty() && !options_.in_text[index]) continue;
    least = std::min(least, options_.scores[index]);
    const std::string& piece = *this->vocab().piece(id);
    if (!piece.empty() && this->vocab().find(piece) == id) entries.push_back({piece, id});
  }
  unknown_score_ = (std::isinf(least) ? 0 : least) - kUnknownPenalty;
  trie_ = PieceTrie(std::move(entries));
  for (std::size_t byte = 0; byte < byte_ids_.size(); ++byte) {
    byte_ids_[byte] = this->vocab().find(byte_token(static_cast<std::uint8_t>(byte))).value_or(kNoId);
  }
}

void UnigramModel::encode(std::string_view text, const std::vector<std::size_t>& ends,
                          std::vector<TokenId>& ids) const {
  std::vector<Step> steps;
  std::size_t begin = 0;
  for (const std::size_t end : ends) {
    encode_piece(text.substr(begin, end - begin), steps, ids);
    begin = end;
  }
}

void UnigramModel::encode_piece(std::string_view text, std::vector<Step>& steps,
                                std::vector<TokenId>& ids) const {
  // Viterbi's algorithm over the places between characters.
  steps.assign(text.size() + 1, {});
  for (std::size_t begin = 0; begin < text.size();) {
    std::size_t next = begin;
    next_code_point(text, next);
    const double score = steps[begin].score;
    const auto reach = [&](std::size_t end, double piece_score, TokenId id) {
      Step& step = steps[end];
      if (step.begin == kUnreached || score + piece_score > step.score) {
        step = {score + piece_score, static_cast<std::uint32_t>(begin), id};
      }
    };
    bool whole_character = false;
    trie_.for_each_prefix(text.substr(begin), [&](std::size_t length, TokenId id) {
      reach(begin + length, options_.scores[static_cast<std::size_t>(id)], id);
      if (begin + length == next) whole_character = true;
    });
    if (!whole_character) reach(next, unknown_score_, unknown(text.substr(begin, next - begin)));
    begin = next;
  }
  const std::size_t first = ids.size();
  std::size_t end = text.size();
  while (end > 0) {
    const Step& step = steps[end];
    std::size_t begin = step.begin;
    if (options_.unknown && step.id == *options_.unknown) {
      // A run of unknown characters is one; so it comes back in front of those behind it.
      while (begin > 0 && steps[begin].id == *options_.unknown) begin = steps[begin].begin;
      const std::size_t before = ids.size();
      append_unknown(text.substr(begin, end - begin), ids);
      std::reverse(ids.begin() + static_cast<std::ptrdiff_t>(before), ids.end());
    } else {
      ids.push_back(step.id);
    }
    end = begin;
  }
  std::reverse(ids.begin() + static_cast<std::ptrdiff_t>(first), ids.end());
}

void UnigramModel::append_unknown(std::string_view text, std::vector<TokenId>& ids) const {
  if (const auto id = vocab().find(text); id && options_.in_text.empty()) {
    ids.push_back(*id);  // the run as a whole may be a piece
    return;
  }
  if (options_.byte_fallback) {
    const auto has_token = [&](char byte) { return byte_ids_[static_cast<unsigned char>(byte)] != kNoId; };
    if (std::ranges::all_of(text, has_token)) {
      for (const char byte : text) ids.push_back(byte_ids_[static_cast<unsigned char>(byte)]);
      return;
    }
  }
  ids.push_back(*options_.unknown);
}

}  // namespace

std::unique_ptr<TokenizerModel> make_unigram_model(Vocab vocab, UnigramOptions options,
                                                   const std::string& where) {
  return std::make_unique<UnigramModel>(std::move(vocab), std::move(options), where);
}

std::unique_ptr<TokenizerModel> parse_unigram_model(const Json& json, const std::string& where) {
  UnigramOptions options;
  std::vector<std::string> pieces;
  for (const Json& item : json_array(json, "vocab", where)) {
    if (!item.is_array() || item.size() != 2 || !item[0].is_string() || !item[1].is_number()) {
      fail("{}: expected a piece and its score, found {}", join_path(where, "vocab", pieces.size()),
           quote(item.dump(-1, ' ', true)));
    }
    pieces.push_back(item[0].get<std::string>());
    options.scores.push_back(item[1].get<double>());
  }
  const auto count = static_cast<std::int64_t>(pieces.size());
  if (json.contains("unk_id") && !json["unk_id"].is_null()) {
    if (count == 0) fail("{}: \"unk_id\": expected null, because the vocabulary is empty", where);
    options.unknown = static_cast<TokenId>(json_int(json, "unk_id", where, 0, count - 1));
  }
  options.byte_fallback = json_bool(json, "byte_fallback", where, false);
  return make_unigram_model(Vocab(std::move(pieces), join_path(where, "vocab")), std::move(options), where);
}

}  // namespace twofold
