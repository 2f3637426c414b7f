#include "text/tokenizer_pipeline.h"

#include <algorithm>
#include <cstdint>

#include "base/error.h"
#include "text/unicode.h"

namespace twofold {

TokenizerPipeline::TokenizerPipeline(TokenizerStages stages, std::string where)
    : stages_(std::move(stages)), where_(std::move(where)) {
  const Vocab& vocab = stages_.model->vocab();
  TokenId end = vocab.end();
  for (const AddedToken& token : stages_.added->tokens()) end = std::max(end, token.id + 1);
  tokens_.resize(static_cast<std::size_t>(end));
  for (TokenId id = 0; id < vocab.end(); ++id) tokens_[static_cast<std::size_t>(id)].text = vocab.piece(id);
  for (const AddedToken& token : stages_.added->tokens()) {
    // As in the reference, the normalized form: decoders undo what normalizers did.
    tokens_[static_cast<std::size_t>(token.id)] = {&token.pattern, token.special};
  }
  for (const auto* side : {&stages_.prompt.before, &stages_.prompt.after}) {
    for (const TokenId id : *side) {
      if (id >= end || token_text(id).text == nullptr) {
        fail("{}: post_processor: id {} is not the id of a token", where_, id);
      }
    }
  }
}

std::vector<TokenId> TokenizerPipeline::encode(std::string_view text) const {
  std::string repaired;
  if (!is_valid_utf8(text)) {
    repaired = replace_invalid_utf8(text);
    text = repaired;
  }
  if (text.size() > kMaxTextBytes) {
    fail("text of {} bytes: at most {} can be encoded at once", text.size(), kMaxTextBytes);
  }
  std::vector<TokenId> ids;
  std::vector<TextSegment> segments;
  stages_.added->split(text, false, segments);
  for (const TextSegment& segment : segments) {
    if (segment.token) {
      ids.push_back(*segment.token);
    } else {
      encode_text(text.substr(segment.begin, segment.end - segment.begin), segment.begin == 0, ids);
    }
  }
  return ids;
}

void TokenizerPipeline::encode_text(std::string_view text, bool at_start, std::vector<TokenId>& ids) const {
  std::string normalized(text);
  if (stages_.normalizer) stages_.normalizer->normalize(normalized);
  std::vector<TextSegment> segments;
  stages_.added->split(normalized, true, segments);
  TextPieces pieces;
  for (const TextSegment& segment : segments) {
    if (segment.token) {
      ids.push_back(*segment.token);
      continue;
    }
    pieces.text.assign(normalized, segment.begin, segment.end - segment.begin);
    pieces.ends.assign(1, pieces.text.size());
    pieces.at_start = at_start && segment.begin == 0;
    if (stages_.pre_tokenizer) stages_.pre_tokenizer->pre_tokenize(pieces);
    if (pieces.text.size() >= UINT32_MAX) {
      fail("text of {} bytes when normalized: too long to encode at once", pieces.text.size());
    }
    stages_.model->encode(pieces.text, pieces.ends, ids);
  }
}

std::vector<TokenId> TokenizerPipeline::encode_prompt(std::string_view text) const {
  std::vector<TokenId> ids = encode(text);
  ids.insert(ids.begin(), stages_.prompt.before.begin(), stages_.prompt.before.end());
  ids.insert(ids.end(), stages_.prompt.after.begin(), stages_.prompt.after.end());
  return ids;
}

const TokenizerPipeline::TokenText& TokenizerPipeline::token_text(TokenId id) const {
  const auto index = static_cast<std::size_t>(id);
  if (id < 0 || index >= tokens_.size() || tokens_[index].text == nullptr) {
    fail("{}: no token has the id {}", where_, id);
  }
  return tokens_[index];
}

std::string TokenizerPipeline::decode(const std::vector<TokenId>& ids, bool special) const {
  std::vector<std::string> texts;
  texts.reserve(ids.size());
  for (const TokenId id : ids) {
    const TokenText& token = token_text(id);
    if (special || !token.special) texts.push_back(*token.text);
  }
  if (stages_.decoder) {
    stages_.decoder->decode(texts);
  } else {
    for (std::size_t i = 1; i < texts.size(); ++i) texts[i].insert(0, 1, ' ');
  }
  std::string text;
  for (const std::string& part : texts) text += part;
  return text;
}

std::string TokenizerPipeline::piece(TokenId id) const {
  const TokenText& token = token_text(id);
  if (token.special) return {};
  std::string text = *token.text;
  bool fused = false;
  if (stages_.decoder) {
    stages_.decoder->decode_piece(text, fused);
  } else {
    text.insert(0, 1, ' ');
  }
  return text;
}

}  // namespace twofold
