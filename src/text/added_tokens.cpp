#include "text/added_tokens.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "text/component.h"
#include "text/unicode.h"

namespace twofold {

namespace {

/// Keeps the search for patterns linear in the text.
constexpr std::size_t kMaxContentBytes = 512;

AddedToken parse_added_token(const Json& json, const std::string& where) {
  AddedToken token;
  token.id = static_cast<TokenId>(json_int(json, "id", where, 0, kMaxTokenId));
  token.content = json_string(json, "content", where);
  token.special = json_bool(json, "special", where);
  token.single_word = json_bool(json, "single_word", where);
  token.lstrip = json_bool(json, "lstrip", where);
  token.rstrip = json_bool(json, "rstrip", where);
  token.normalized = json_bool(json, "normalized", where);
  return token;
}

void check_length(std::string_view content, std::string_view when, const std::string& path) {
  if (content.empty() || content.size() > kMaxContentBytes) {
    fail("{}: \"content\": expected 1 to {} bytes{}, found {}", path, kMaxContentBytes, when, content.size());
  }
}

bool is_word_before(std::string_view text, std::size_t at) {
  if (at == 0) return false;
  std::size_t previous = previous_code_point(text, at);
  return is_word_character(next_code_point(text, previous));
}

bool is_word_behind(std::string_view text, std::size_t at) {
  return at < text.size() && is_word_character(next_code_point(text, at));
}

/// Start of the white space that ends at `at`, not before `limit`.
std::size_t skip_space_before(std::string_view text, std::size_t at, std::size_t limit) {
  while (at > limit) {
    const std::size_t begin = previous_code_point(text, at);
    std::size_t end = begin;
    if (!is_white_space(next_code_point(text, end))) break;
    at = begin;
  }
  return std::max(at, limit);
}

std::size_t skip_space_behind(std::string_view text, std::size_t at) {
  while (at < text.size()) {
    std::size_t end = at;
    if (!is_white_space(next_code_point(text, end))) break;
    at = end;
  }
  return at;
}

}  // namespace

AddedTokens::AddedTokens(const Json& array, const Vocab& vocab, const Normalizer* normalizer,
                         const std::string& where) {
  std::set<std::string> contents;
  std::int64_t next_id = vocab.count();
  for (const Json& item : array) {
    const std::string path = fmt::format("{}[{}]", where, tokens_.size());
    AddedToken token = parse_added_token(item, path);
    check_length(token.content, "", path);
    if (!contents.insert(token.content).second) {
      fail("{}: \"content\": {} is there twice", path, quote(token.content));
    }
    const auto id = vocab.find(token.content);
    const std::int64_t expected = id ? *id : next_id;
    if (token.id != expected) {
      fail("{}: \"id\": expected {} for {} ({}), found {}", path, expected, quote(token.content),
           id ? "its id in the vocabulary" : "tokens outside of the vocabulary are numbered from its size",
           token.id);
    }
    if (!id && vocab.piece(token.id) != nullptr) {
      fail("{}: \"id\": {} is already the id of {}", path, token.id, quote(*vocab.piece(token.id)));
    }
    next_id = std::max(next_id, expected + 1);
    add(std::move(token), normalizer, path);
  }
  index();
}

AddedTokens::AddedTokens(std::vector<AddedToken> tokens, const Normalizer* normalizer,
                         const std::string& where) {
  std::set<std::string> contents;
  for (AddedToken& token : tokens) {
    if (contents.insert(token.content).second) {
      const std::string path = fmt::format("{}: token {}", where, token.id);
      add(std::move(token), normalizer, path);
    }
  }
  index();
}

void AddedTokens::add(AddedToken token, const Normalizer* normalizer, const std::string& path) {
  check_length(token.content, "", path);
  if (token.pattern.empty()) {
    token.pattern = token.content;
    if (token.normalized && normalizer != nullptr) normalizer->normalize(token.pattern);
  }
  check_length(token.pattern, " when normalized", path);
  if (!patterns_[token.normalized ? 1 : 0].insert(token.pattern).second) {
    fail("{}: \"content\": another added token is {} too when normalized", path, quote(token.pattern));
  }
  tokens_.push_back(std::move(token));
}

void AddedTokens::index() {
  for (const bool normalized : {false, true}) {
    Pass& pass = normalized ? normalized_ : raw_;
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      if (tokens_[i].normalized != normalized) continue;
      pass.tokens.push_back(i);
      texts.push_back(tokens_[i].pattern);
    }
    pass.patterns = PatternSet(std::move(texts));
  }
}

void AddedTokens::split(std::string_view text, bool normalized, std::vector<TextSegment>& segments) const {
  const Pass& pass = normalized ? normalized_ : raw_;
  const auto append = [&](std::size_t begin, std::size_t end, std::optional<TokenId> token) {
    if (begin < end) segments.push_back({begin, end, token});
  };
  std::size_t done = 0;         // text before this is in the segments
  std::size_t space_until = 0;  // end of the white space that an rstrip has looked at
  std::size_t from = 0;
  while (const auto match = pass.patterns.find(text, from)) {
    from = match->end;
    const AddedToken& token = tokens_[pass.tokens[match->pattern]];
    if (token.single_word && (is_word_before(text, match->begin) || is_word_behind(text, match->end)))
      continue;
    std::size_t begin = match->begin;
    std::size_t end = match->end;
    // The white space of two tokens may overlap, and may hold further tokens: as the reference has it, the
    // search goes on behind the match itself.
    if (token.lstrip) begin = std::max(done, skip_space_before(text, begin, std::min(done, begin)));
    if (token.rstrip) {
      if (end >= space_until) space_until = skip_space_behind(text, end);
      end = space_until;
    }
    append(done, begin, std::nullopt);
    append(begin, end, token.id);
    done = end;
  }
  append(done, text.size(), std::nullopt);
}

}  // namespace twofold
