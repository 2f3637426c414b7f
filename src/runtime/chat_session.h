#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/generate.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace twofold {

struct ChatReply {
  std::string text;
  GenerationStats stats;             // prompt_tokens: those of the conversation that were evaluated
  std::int64_t reused_tokens = 0;    // those that were still in the cache
  std::size_t dropped_messages = 0;  // oldest ones, forgotten to make room
};

/// A conversation with a model. Each turn evaluates only what is new: the conversation is rendered and
/// encoded again, and as far as its tokens are those of the turn before, so are keys and values.
class ChatSession {
 public:
  static constexpr std::int64_t kPromptBlock = 256;  // tokens evaluated between two looks at the interrupt

  /// The three must outlive the session. `system`: the system prompt, or empty for none of one's own.
  ChatSession(Model& model, const Tokenizer& tokenizer, const ChatTemplate& chat_template,
              std::string system);

  /// Says `message` and returns the model's answer of at most `count` tokens, which `on_text` gets in whole
  /// characters as it grows. An interrupt ends the answer (GenerationStats::End::kStopped); what there is of
  /// it belongs to the conversation, and when there is nothing the message does not either. When the context
  /// is full, the oldest messages are dropped; a message that does not fit by itself is an Error. After any
  /// Error the conversation is as it was before.
  ChatReply reply(const std::string& message, std::int64_t count, Sampler& sampler,
                  const std::function<void(std::string_view text)>& on_text);

  /// Forgets everything but the system prompt.
  void reset();

  const std::vector<ChatMessage>& messages() const { return messages_; }  // without the system prompt

 private:
  std::vector<std::int32_t> encode(const std::vector<ChatMessage>& messages) const;
  /// Encodes, dropping messages until the answer has room.
  std::vector<std::int32_t> fit(std::vector<ChatMessage>& messages, std::int64_t count,
                                std::size_t& dropped) const;
  void keep_prefix(const std::vector<std::int32_t>& tokens);
  bool is_end(std::int32_t token) const;
  void generate_text(std::vector<float> logits, std::int64_t count, Sampler& sampler,
                     const std::function<void(std::string_view text)>& on_text, ChatReply& reply);

  Model& model_;
  const Tokenizer& tokenizer_;
  const ChatTemplate& template_;
  std::string system_;
  std::vector<ChatMessage> messages_;
  KvCache cache_;
  std::vector<std::int32_t> tokens_;  // in the cache, which may hold fewer after an Error
};

}  // namespace twofold
