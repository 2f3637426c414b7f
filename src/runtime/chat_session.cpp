#include "runtime/chat_session.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/error.h"
#include "base/interrupt.h"
#include "text/utf8_stream.h"

namespace twofold {

namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void truncate(KvCache& cache, std::int64_t length, std::int64_t head_dim) {
  for (LayerCache& layer : cache.layers) {
    for (auto* heads : {&layer.keys, &layer.values}) {
      for (auto& head : *heads) head.resize(static_cast<std::size_t>(length * head_dim));
    }
  }
  cache.length = length;
}

}  // namespace

ChatSession::ChatSession(Model& model, const Tokenizer& tokenizer, const ChatTemplate& chat_template,
                         std::string system)
    : model_(model),
      tokenizer_(tokenizer),
      template_(chat_template),
      system_(std::move(system)),
      cache_(model.spec()) {
  if (model.memory()) cache_.reserve(model.spec(), model.spec().max_positions);
}

void ChatSession::reset() {
  messages_.clear();
}

std::vector<std::int32_t> ChatSession::encode(const std::vector<ChatMessage>& messages) const {
  std::vector<ChatMessage> all;
  if (!system_.empty()) all.push_back({"system", system_});
  all.insert(all.end(), messages.begin(), messages.end());
  return tokenizer_.encode(template_.render(all));
}

std::vector<std::int32_t> ChatSession::fit(std::vector<ChatMessage>& messages, std::int64_t count,
                                           std::size_t& dropped) const {
  const std::int64_t context = model_.spec().max_positions;
  const std::int64_t room = std::min(count, context / 4);
  for (;;) {
    std::vector<std::int32_t> tokens = encode(messages);
    const auto size = static_cast<std::int64_t>(tokens.size());
    if (tokens.empty()) fail("the chat template made no text of the message");
    if (size + room <= context) return tokens;
    if (messages.size() < 3) {
      if (size < context) return tokens;
      fail("the message takes {} tokens with the system prompt; the model's context is {}", size, context);
    }
    messages.erase(messages.begin(), messages.begin() + 2);  // a question and its answer
    dropped += 2;
  }
}

void ChatSession::keep_prefix(const std::vector<std::int32_t>& tokens) {
  tokens_.resize(static_cast<std::size_t>(cache_.length));
  const auto differ = std::mismatch(tokens_.begin(), tokens_.end(), tokens.begin(), tokens.end()).first;
  // The last token is evaluated in any case: its logits are wanted.
  const auto same =
      std::min<std::int64_t>(differ - tokens_.begin(), static_cast<std::int64_t>(tokens.size()) - 1);
  tokens_.resize(static_cast<std::size_t>(same));
  truncate(cache_, same, model_.spec().head_dim);
}

bool ChatSession::is_end(std::int32_t token) const {
  const auto& eos = model_.spec().eos;
  return std::find(eos.begin(), eos.end(), token) != eos.end() || tokenizer_.eos() == token;
}

void ChatSession::generate_text(std::vector<float> logits, std::int64_t count, Sampler& sampler,
                                const std::function<void(std::string_view text)>& on_text, ChatReply& reply) {
  using End = GenerationStats::End;
  GenerationStats& stats = reply.stats;
  std::vector<std::int32_t> answer;
  Utf8Stream stream;
  for (;;) {
    const std::int32_t token = sampler.sample(logits, tokens_);
    if (is_end(token)) {
      stats.end = End::kEos;
      break;
    }
    std::string piece = tokenizer_.piece(token);
    if (answer.empty() && piece.starts_with(' ')) piece.erase(0, 1);
    if (const std::string text = stream.add(piece); !text.empty()) on_text(text);
    answer.push_back(token);
    ++stats.generated_tokens;
    if (interrupted() || stats.generated_tokens == count || cache_.length == model_.spec().max_positions) {
      stats.end = interrupted()                     ? End::kStopped
                  : stats.generated_tokens == count ? End::kCount
                                                    : End::kContext;
      break;
    }
    const auto start = std::chrono::steady_clock::now();
    const Sequence next{&cache_, {&token, 1}};
    logits = model_.forward({&next, 1}, Model::Logits::kLast);
    tokens_.push_back(token);
    stats.decode_seconds += seconds_since(start);
    ++stats.decode_passes;
  }
  if (const std::string text = stream.finish(); !text.empty()) on_text(text);
  reply.text = tokenizer_.decode(answer);
}

ChatReply ChatSession::reply(const std::string& message, std::int64_t count, Sampler& sampler,
                             const std::function<void(std::string_view text)>& on_text) {
  ChatReply reply;
  std::vector<ChatMessage> messages = messages_;
  messages.push_back({"user", message});
  const std::vector<std::int32_t> tokens = fit(messages, count, reply.dropped_messages);
  keep_prefix(tokens);
  reply.reused_tokens = cache_.length;

  const auto start = std::chrono::steady_clock::now();
  std::vector<float> logits;
  const auto most = static_cast<std::size_t>(model_.block_tokens(kPromptBlock));
  while (tokens_.size() < tokens.size()) {
    if (interrupted()) {
      reply.stats.end = GenerationStats::End::kStopped;
      return reply;
    }
    const std::size_t size = std::min(most, tokens.size() - tokens_.size());
    const Sequence block{&cache_, std::span(tokens).subspan(tokens_.size(), size)};
    logits = model_.forward({&block, 1}, Model::Logits::kLast);
    tokens_.insert(tokens_.end(), block.tokens.begin(), block.tokens.end());
    reply.stats.prompt_tokens += static_cast<std::int64_t>(size);
  }
  reply.stats.prefill_seconds = seconds_since(start);
  generate_text(std::move(logits), count, sampler, on_text, reply);
  messages.push_back({"assistant", reply.text});
  messages_ = std::move(messages);
  return reply;
}

}  // namespace twofold
